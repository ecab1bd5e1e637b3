package postgres

import (
	"strings"
	"testing"
)

func TestAnInvalidConnectionStringIsNotShown(t *testing.T) {
	for _, dsn := range []string{"postgres://user:secret@host:port/x", "host=x password='secret", "postgres://u:secret@h/x?sslmode=sometimes", "secret", "postgres://u:secret@h/x?sslrootcert=/nowhere/secret.pem"} {
		_, err := New(dsn)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "is no connection string of PostgreSQL") {
			t.Errorf("%s: error %v", dsn, err)
		}
	}
	for _, dsn := range []string{"postgres://user:secret@host:5432/x?sslmode=disable", "host=x user=y password=secret", "postgresql://h1,h2/x?target_session_attrs=primary"} {
		if _, err := New(dsn); err != nil {
			t.Errorf("%s: error %v", dsn, err)
		}
	}
}
