package redis

import (
	"context"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Count adds 1 to a counter and returns its new value.
func (s *Store) Count(ctx context.Context, key string, window time.Duration) (int64, time.Duration, error) {
	numbers, err := s.numbers(ctx, 2, command{countScript, []string{s.key("count", hash(key))}, []any{milliseconds(window)}})
	if err != nil {
		return 0, 0, err
	}
	return numbers[0], time.Duration(numbers[1]) * time.Millisecond, nil
}

// Take takes a token out of a bucket, or returns the time until there is one.
func (s *Store) Take(ctx context.Context, key string, perSecond float64, burst int) (time.Duration, error) {
	args := []any{strconv.FormatFloat(perSecond, 'f', -1, 64), burst}
	numbers, err := s.numbers(ctx, 1, command{takeScript, []string{s.key("bucket", hash(key))}, args})
	if err != nil {
		return 0, err
	}
	return time.Duration(numbers[0]) * time.Microsecond, nil
}

// numbers runs a script that returns n numbers.
func (s *Store) numbers(ctx context.Context, n int, c command) ([]int64, error) {
	conn := s.conn.Load()
	results, err := s.operate(ctx, c)
	if err != nil {
		return nil, err
	}
	var numbers []int64
	if n == 1 {
		numbers = make([]int64, 1)
		numbers[0], err = results[0].Int64()
	} else {
		numbers, err = results[0].Int64Slice()
	}
	if err != nil || len(numbers) != n {
		s.fail(conn, &c, errNonsense)
		return nil, away(errNonsense)
	}
	return numbers, nil
}

// Put stores a value for a time. If the store is away, the value is lost.
func (s *Store) Put(key string, value []byte, keep time.Duration) {
	if !s.Up() {
		return
	}
	name := s.key("value", hash(key))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(command{nil, []string{name}, []any{"SET", name, value, "PX", milliseconds(keep)}})
}

// Get returns the values of keys. A value that is not there is nil.
func (s *Store) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, ctx.Err()
	}
	commands := make([]command, len(keys))
	for i, key := range keys {
		name := s.key("value", hash(key))
		commands[i] = command{nil, []string{name}, []any{"GET", name}}
	}
	conn := s.conn.Load()
	results, err := s.operate(ctx, commands...)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	for i, result := range results {
		switch text, err := result.Text(); err {
		case nil:
			values[i] = []byte(text)
		case goredis.Nil:
		default:
			s.fail(conn, &commands[i], errNonsense)
			return nil, away(errNonsense)
		}
	}
	return values, nil
}
