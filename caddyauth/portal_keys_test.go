package caddyauth

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// flaky is a storage that can fail.
type flaky struct {
	certmagic.Storage
	down     bool
	readOnly bool
	loads    int
}

var errDown = errors.New("the storage is down")

func (f *flaky) Load(ctx context.Context, name string) ([]byte, error) {
	f.loads++
	if f.down {
		return nil, errDown
	}
	return f.Storage.Load(ctx, name)
}

func (f *flaky) Store(ctx context.Context, name string, value []byte) error {
	if f.down || f.readOnly {
		return errDown
	}
	return f.Storage.Store(ctx, name, value)
}

// inFakeTime runs a test in a bubble, at whose end the storage's locks have time to end.
func inFakeTime(t *testing.T, test func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		test(t)
		time.Sleep(time.Minute)
	})
}

func newStorage(t *testing.T) *flaky {
	t.Helper()
	return &flaky{Storage: &certmagic.FileStorage{Path: t.TempDir()}}
}

// sealed returns a session of a user and its sealed form.
func sealed(t *testing.T, keys *sealingKeys) string {
	t.Helper()
	one := newSession()
	one.Email = testEmail
	value, err := keys.seal(one)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// good reports whether a sealed session can be opened.
func good(keys *sealingKeys, value string) bool { return keys.open(value).Email == testEmail }

func TestASessionLastsTwelveHours(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		keys := newSealingKeys(newStorage(t), zap.NewNop())
		value := sealed(t, keys)
		if time.Sleep(12*time.Hour - time.Second); !good(keys, value) {
			t.Error("it has ended too early")
		}
		if time.Sleep(time.Second); good(keys, value) {
			t.Error("it has not ended")
		}
	})
}

func TestTheSealingKeyIsRenewedEachDay(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		storage := newStorage(t)
		keys := newSealingKeys(storage, zap.NewNop())
		first, _ := keys.current()
		time.Sleep(24*time.Hour - time.Second)
		late := sealed(t, keys)
		if again, _ := keys.current(); again.id != first.id {
			t.Error("renewed too early")
		}
		time.Sleep(time.Second)
		if second, _ := keys.current(); second.id == first.id {
			t.Error("not renewed")
		}
		if time.Sleep(12*time.Hour - 2*time.Second); !good(keys, late) {
			t.Error("the last session of the old key has ended with the key")
		}
		time.Sleep(2 * time.Hour)
		if keys.find(first.id) != nil {
			t.Error("the old key is kept")
		}
		time.Sleep(11 * time.Hour)
		if _, err := keys.current(); err != nil {
			t.Fatal(err)
		}
		stored, err := newSealingKeys(storage, zap.NewNop()).load(t.Context())
		if err != nil || len(stored) != 2 {
			t.Errorf("%d keys are stored, %v", len(stored), err)
		}
	})
}

func TestServersWithTheSameStorageShareSessions(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		storage := newStorage(t)
		one, two := newSealingKeys(storage, zap.NewNop()), newSealingKeys(storage, zap.NewNop())
		for range 3 { // with each new key
			if value := sealed(t, one); !good(two, value) {
				t.Error("the second server does not know the session of the first")
			}
			if value := sealed(t, two); !good(one, value) {
				t.Error("the first server does not know the session of the second")
			}
			time.Sleep(25 * time.Hour)
		}
		if other := newSealingKeys(newStorage(t), zap.NewNop()); good(other, sealed(t, one)) {
			t.Error("a server with another storage knows the session")
		}
	})
}

func TestKeysOfOneStorageAreMadeOnce(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	ids := make(chan [4]byte)
	for range 8 {
		go func() {
			key, err := newSealingKeys(storage, zap.NewNop()).current()
			if err != nil {
				t.Error(err)
			}
			ids <- key.id
		}()
	}
	first := <-ids
	for range 7 {
		if id := <-ids; id != first {
			t.Error("two servers have made a key each")
		}
	}
}

func TestMadeUpKeysDoNotReachTheStorageOften(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		storage := newStorage(t)
		keys := newSealingKeys(storage, zap.NewNop())
		sealed(t, keys)
		before := storage.loads
		for i := range 1000 {
			keys.open(base64.RawURLEncoding.EncodeToString([]byte{byte(i), byte(i >> 8), 1, 2, 3}))
			time.Sleep(10 * time.Millisecond)
		}
		if got := storage.loads - before; got != 1 {
			t.Errorf("the storage was read %d times in ten seconds", got)
		}
	})
}

func TestSessionsWhileTheStorageIsDown(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		storage := newStorage(t)
		storage.down = true
		keys := newSealingKeys(storage, zap.NewNop())
		own := sealed(t, keys)
		if !good(keys, own) {
			t.Error("the server does not know its own session")
		}
		before := storage.loads
		if sealed(t, keys); storage.loads != before {
			t.Error("a storage that has failed is not left alone")
		}
		storage.down = false
		time.Sleep(time.Minute)
		shared := sealed(t, keys)
		if !good(newSealingKeys(storage, zap.NewNop()), shared) {
			t.Error("the key is not shared when the storage is back")
		}
		if !good(keys, own) {
			t.Error("the session from before is lost")
		}
		storage.down = true
		time.Sleep(25 * time.Hour)
		if next := sealed(t, keys); !good(keys, next) || good(keys, shared) {
			t.Error("the key is not renewed without the storage")
		}
	})
}

func TestServersShareSessionsAgainWhenTheStorageIsBack(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		storage := newStorage(t)
		storage.down = true
		one, two := newSealingKeys(storage, zap.NewNop()), newSealingKeys(storage, zap.NewNop())
		first, second := sealed(t, one), sealed(t, two)
		storage.down = false
		time.Sleep(10 * time.Second)
		if good(one, second) || good(two, first) { // each of them reads the storage, where there is no key yet
			t.Fatal("a key that is not in the storage is known to another server")
		}
		time.Sleep(time.Minute)
		if value := sealed(t, one); !good(two, value) {
			t.Error("the second server does not know the session of the first")
		}
		if value := sealed(t, two); !good(one, value) {
			t.Error("the first server does not know the session of the second")
		}
		if !good(one, first) || !good(two, second) {
			t.Error("a session from before is lost")
		}
	})
}

func TestAStorageThatCannotBeWrittenTo(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		storage := newStorage(t)
		before := sealed(t, newSealingKeys(storage, zap.NewNop()))
		storage.readOnly = true
		time.Sleep(11 * time.Hour)
		keys := newSealingKeys(storage, zap.NewNop())
		for range 14 {
			if value := sealed(t, keys); !good(keys, value) {
				t.Error("the server does not know its own session")
			}
			time.Sleep(time.Hour)
		}
		if good(keys, before) {
			t.Error("a session has not ended")
		}
		for range 60 {
			sealed(t, keys)
			time.Sleep(time.Minute)
		}
		if n := len(keys.known.Load().keys); n != 2 { // the one in the storage, and one of its own
			t.Errorf("the server has %d keys", n)
		}
	})
}

func TestABrokenFileOfKeysIsWrittenAnew(t *testing.T) {
	for name, content := range map[string]string{
		"no JSON":         `[{"secret":`,
		"no array":        `{"secret":"x"}`,
		"null":            `[null]`,
		"a short secret":  `[{"secret":"AAAA","made":"2026-01-01T00:00:00Z"}]`,
		"half of the key": `[{"made":"2026-01-01T00:00:00Z"}]`,
		"empty":           ``,
	} {
		storage := newStorage(t)
		if err := storage.Storage.Store(t.Context(), sealingKeysPath, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if value := sealed(t, newSealingKeys(storage, zap.NewNop())); !good(newSealingKeys(storage, zap.NewNop()), value) {
			t.Errorf("%s: the keys are not shared", name)
		}
	}
}

func TestOthersCannotReadTheKeys(t *testing.T) {
	folder := t.TempDir()
	sealed(t, newSealingKeys(&certmagic.FileStorage{Path: folder}, zap.NewNop()))
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err == nil && strings.HasSuffix(path, ".json") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzOpenSession(f *testing.F) {
	storage := &certmagic.FileStorage{Path: f.TempDir()}
	keys := newSealingKeys(storage, zap.NewNop())
	one := newSession()
	one.Email = testEmail
	value, err := keys.seal(one)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add(value[:len(value)-1])
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if got := keys.open(text); got.Token != "" && text != value {
			t.Errorf("%q is a session", text)
		}
	})
}

func FuzzParseSealingKeys(f *testing.F) {
	f.Add([]byte(`[{"secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","made":"2026-01-01T00:00:00Z"}]`))
	f.Add([]byte(`[null]`))
	f.Fuzz(func(t *testing.T, content []byte) {
		keys, err := parseSealingKeys(content)
		if err != nil && keys != nil {
			t.Error("keys and an error")
		}
		for _, k := range keys {
			if k.aead == nil {
				t.Error("a key cannot seal")
			}
		}
	})
}
