package redis

import (
	"context"
	"errors"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Publish sends a message to every server that listens.
func (s *Store) Publish(ctx context.Context, message string) error {
	_, err := s.operate(ctx, command{nil, nil, []any{"PUBLISH", s.channel(), message}})
	return err
}

// channel returns the name of the channel of all messages.
func (s *Store) channel() string { return s.Prefix + "messages" }

// Listen calls received with each message, and missed whenever messages may have been lost: after the
// connection was cut and is back, and when it is made for the first time although the store was away.
func (s *Store) Listen(ctx context.Context, received func(message string), missed func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.closing, cancel)
	s.tasks.Go(func() {
		defer cancel()
		defer stop()
		lost := !s.Up()
		for ctx.Err() == nil {
			if conn := s.conn.Load(); conn != nil {
				_ = s.receive(ctx, conn, received, func() {
					if lost {
						missed()
					}
				})
			}
			lost = true
			select {
			case <-time.After(s.pace.probe):
			case <-ctx.Done():
			}
		}
	})
}

// pingText is what Redis must send back when a channel's connection is tested.
const pingText = "still there?"

// receive receives messages until the connection fails or ctx ends.
func (s *Store) receive(ctx context.Context, conn *connection, received func(message string), begun func()) (err error) {
	defer func() {
		if recover() != nil { // the library expects that messages are well-formed
			err = errNonsense
		}
	}()
	channel := conn.Subscribe(ctx, s.channel())
	stop := context.AfterFunc(ctx, func() { _ = channel.Close() })
	defer stop()
	defer func() { _ = channel.Close() }()
	subscribed, pinged := false, false
	for ctx.Err() == nil {
		got, err := channel.ReceiveTimeout(ctx, s.ping)
		var late net.Error
		switch {
		case errors.As(err, &late) && late.Timeout() && !pinged:
			pinged = true
			if err := channel.Ping(ctx, pingText); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		pinged = false
		switch got := got.(type) {
		case *goredis.Subscription:
			if subscribed {
				return errNonsense // the library has connected again, so messages were lost
			}
			subscribed = true
			begun()
		case *goredis.Pong:
			if got.Payload != pingText {
				return errNonsense // whatever answers, no messages may come from there
			}
		case *goredis.Message:
			received(got.Payload)
		}
	}
	return ctx.Err()
}
