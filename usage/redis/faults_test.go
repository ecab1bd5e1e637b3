//go:build redis

package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/continue-auth/caddy-continue-auth/usage"
	"github.com/continue-auth/caddy-continue-auth/usage/redis/redistest"
)

// patient opens a store that waits for a busy machine, and is up.
func patient(t testing.TB, c Config) *Store {
	t.Helper()
	c.Timeout = 2 * time.Second
	s := open(t, c)
	eventually(t, s.Up, func() string { return "the store is away: it " + *s.why.Load() })
	return s
}

// whyAway waits until the store says why it is away.
func whyAway(t testing.TB, s *Store, want string) {
	t.Helper()
	eventually(t, func() bool {
		if s.Up() {
			_ = operations["Count"](s)
		}
		return !s.Up() && *s.why.Load() == want
	}, func() string { return fmt.Sprintf("up: %v, it %s", s.Up(), *s.why.Load()) })
	checkAway(t, s)
}

func TestARedisThatStartsLaterIsUsed(t *testing.T) {
	server := redistest.New(t)
	s := open(t, Config{Addresses: []string{server.Address}, Timeout: 2 * time.Second})
	checkAway(t, s)
	l, _ := listen(t, s)
	server.Start()
	l.want("missed")
	back(t, s)
}

func TestARedisThatIsKilledAndRestartedEmptyIsUsedAgain(t *testing.T) {
	server := startReal(t)
	s := patient(t, Config{Addresses: []string{server.Address}})
	l, _ := listen(t, s)
	l.begin(s)
	a := asker{t, s, []usage.Scope{scope(t, "u", "requests 2/1h", "tokens 1000/day", "parallel 5")}}
	lease, _ := a.admit(50)
	server.Kill()
	whyAway(t, s, "cannot be reached: connection refused")
	server.Start()
	back(t, s)
	l.want("missed")
	a.store.Settle(a.scopes, lease, 30) // nobody knows the lease any more
	a.wantUsed(0, 30, 0)
	a.admits(true)
}

func TestARedisThatStopsAnsweringIsAway(t *testing.T) {
	server := startReal(t)
	s := patient(t, Config{Addresses: []string{server.Address}})
	l, _ := listen(t, s)
	l.begin(s)
	s.Timeout = 50 * time.Millisecond
	server.Signal(syscall.SIGSTOP)
	began := time.Now()
	if err := operations["Admit"](s); err == nil || time.Since(began) > time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	whyAway(t, s, "does not answer in time")
	began = time.Now()
	for range 1000 {
		_ = operations["Admit"](s)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("a thousand requests waited for %v", took)
	}
	for range 20 { // until the channel is known to hang
		time.Sleep(50 * time.Millisecond)
	}
	server.Signal(syscall.SIGCONT)
	s.Timeout = 2 * time.Second
	l.want("missed")
	back(t, s)
}

func TestARedisOutOfMemoryIsAway(t *testing.T) {
	server := startReal(t)
	s := patient(t, Config{Addresses: []string{server.Address}})
	server.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	server.Do("CONFIG", "SET", "maxmemory", "1")
	whyAway(t, s, "is out of memory")
	server.Do("CONFIG", "SET", "maxmemory", "0")
	back(t, s)
}

func TestARedisWhosePasswordChangedIsAway(t *testing.T) {
	server := startReal(t)
	server.Do(aclOfTheDocumentation(t, "someone", "right")...)
	s := patient(t, Config{Addresses: []string{server.Address}, Username: "someone", Password: "right"})
	back(t, s)
	l, _ := listen(t, s)
	l.begin(s)
	server.Do("ACL", "SETUSER", "someone", "resetpass", ">changed")
	server.Do("CLIENT", "KILL", "USER", "someone")
	whyAway(t, s, "refuses the username or the password")
	server.Do("ACL", "SETUSER", "someone", "resetpass", ">right")
	back(t, s)
	server.Do("ACL", "SETUSER", "someone", "-evalsha", "-eval")
	whyAway(t, s, "does not allow the user what is needed")
	server.Do("ACL", "SETUSER", "someone", "+evalsha", "+eval")
	back(t, s)
}

// aclOfTheDocumentation returns the command that docs/configuration.md shows.
func aclOfTheDocumentation(t testing.TB, username, password string) (command []any) {
	t.Helper()
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ACL SETUSER .*`).FindString(string(page))
	for _, word := range strings.Fields(strings.NewReplacer("continue_auth", username, "PASSWORD", password).Replace(line)) {
		command = append(command, word)
	}
	return command
}

func TestARedisThatBecomesAReplicaIsAway(t *testing.T) {
	master, server := startReal(t), startReal(t)
	s := patient(t, Config{Addresses: []string{server.Address}})
	server.Do("REPLICAOF", "127.0.0.1", master.Port())
	whyAway(t, s, "is a replica, which takes no changes")
	server.Do("REPLICAOF", "NO", "ONE")
	back(t, s)
}

func TestAScriptIsSentAgainToARedisThatLostIt(t *testing.T) {
	server := startReal(t)
	s := patient(t, Config{Addresses: []string{server.Address}})
	for range 3 {
		server.Do("SCRIPT", "FLUSH")
		back(t, s)
	}
}

func TestSentinelsSayWhichRedisIsTheMaster(t *testing.T) {
	master := startReal(t, "--requirepass", "right", "--masterauth", "right")
	replica := startReal(t, "--requirepass", "right", "--masterauth", "right", "--replicaof", "127.0.0.1 "+master.Port())
	sentinel := startSentinel(t, master.Server)
	c := Config{Addresses: []string{sentinel.Address, sentinel.Address}, Password: "right"}
	s := patient(t, c)
	l, _ := listen(t, s)
	l.begin(s)
	a := asker{t, s, []usage.Scope{scope(t, "u", "requests 2/1h")}}
	a.admits(true)
	synced(t, replica, s.keys("u")[0])
	master.Kill()
	eventually(t, func() bool { return operations["Count"](s) != nil }, func() string { return "the store is up" })
	eventually(t, func() bool { return s.Up() && operations["Count"](s) == nil }, func() string { return "the store is away: it " + *s.why.Load() })
	a.admits(true)
	a.admits(false) // the replica knows the first request
	l.want("missed")
	l.begin(s)
}

// startSentinel starts a Sentinel that watches a master, and promotes a replica soon.
func startSentinel(t testing.TB, master *redistest.Server) *redistest.Server {
	t.Helper()
	s := redistest.New(t)
	config := filepath.Join(s.Folder, "sentinel.conf")
	text := fmt.Sprintf(`bind 127.0.0.1
port %s
dir %s
sentinel monitor shared 127.0.0.1 %s 1
sentinel auth-pass shared right
sentinel down-after-milliseconds shared 300
sentinel failover-timeout shared 2000
`, s.Port(), s.Folder, master.Port())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Run(config, "--sentinel")
	return s
}

// synced waits until a replica has a key.
func synced(t testing.TB, replica redisServer, key string) {
	t.Helper()
	eventually(t, func() bool { return replica.Do("EXISTS", key) == int64(1) }, func() string { return "the replica does not have the key" })
}

func TestAClusterIsShared(t *testing.T) {
	var nodes []redisServer
	args := []string{"--cluster", "create", "--cluster-yes"}
	for range 3 {
		node := startReal(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-config-file", "nodes.conf")
		nodes = append(nodes, node)
		args = append(args, node.Address)
	}
	if out, err := exec.Command("redis-cli", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, node := range nodes {
		eventually(t, func() bool { return strings.Contains(node.Do("CLUSTER", "INFO").(string), "cluster_state:ok") },
			func() string { return "the Cluster does not begin" })
	}
	s := patient(t, Config{Addresses: []string{nodes[0].Address, nodes[1].Address}})
	one := patient(t, Config{Addresses: []string{nodes[2].Address}}) // one address is enough
	var scopes []usage.Scope
	for i := range 20 { // in several slots
		scopes = append(scopes, scope(t, fmt.Sprint("u", i), "requests 2/1h", "tokens 1000/day", "parallel 5"))
	}
	a, b := asker{t, s, scopes}, asker{t, one, scopes}
	lease, _ := a.admit(50)
	a.store.renew(a.store.conn.Load())
	b.admits(true)
	a.admits(false)
	a.store.Settle(scopes, lease, 30)
	var want []int64
	for range scopes {
		want = append(want, 2, 30, 1)
	}
	b.wantUsed(want...)
	l, _ := listen(t, s)
	l.begin(one)
	back(t, s)

	// A node that fails makes the store away, and it is back when the slots of that node are.
	nodes[1].Signal(syscall.SIGSTOP)
	eventually(t, func() bool { _, err := s.States(t.Context(), scopes, nil); return err != nil }, func() string { return "no error" })
	checkAway(t, s)
	nodes[1].Signal(syscall.SIGCONT)
	eventually(t, func() bool { _, err := s.States(t.Context(), scopes, nil); return err == nil }, func() string { return "away: it " + *s.why.Load() })
	b.wantUsed(want...)
}

func TestTheConnectionCanBeEncrypted(t *testing.T) {
	server := redistest.New(t)
	folder, address := server.Folder, server.Address
	roots := makeCertificate(t, folder)
	server.Run("--bind", "127.0.0.1", "--port", "0", "--tls-port", server.Port(), "--save", "", "--dir", folder, "--tls-auth-clients", "no",
		"--tls-cert-file", filepath.Join(folder, "cert.pem"), "--tls-key-file", filepath.Join(folder, "key.pem"), "--tls-ca-cert-file", filepath.Join(folder, "cert.pem"))
	trusting := Config{Addresses: []string{address}, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	s := patient(t, trusting)
	back(t, s)
	l, _ := listen(t, s)
	l.begin(s)
	other := open(t, Config{Addresses: []string{address}, TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Timeout: time.Second})
	if got := *other.why.Load(); other.Up() || got != "has a certificate that is not trusted" {
		t.Errorf("it %s", got)
	}
	plain := open(t, Config{Addresses: []string{address}, Timeout: time.Second})
	if plain.Up() || !strings.HasPrefix(*plain.why.Load(), "cannot be reached") && *plain.why.Load() != "answers nonsense" {
		t.Errorf("without TLS it %s", *plain.why.Load())
	}
}

// makeCertificate writes a certificate for 127.0.0.1 and its key, and returns the roots that trust it.
func makeCertificate(t testing.TB, folder string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: certificate},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	return roots
}
