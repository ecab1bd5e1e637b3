package gatewaytest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func start(t *testing.T) *Server {
	t.Helper()
	s, err := NewServer(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

const (
	llama       = "@cf/meta/llama-3.1-8b-instruct"
	chatPath    = "workers-ai/v1/chat/completions"
	chatBody    = `{"model":"` + llama + `","messages":[{"role":"user","content":"hello there"}]}`
	chatStream  = `{"model":"` + llama + `","messages":[{"role":"user","content":"hello there"}],"stream":true}`
	azureChat   = "azure-openai/myinstance/gpt-4o-mini/chat/completions?api-version=2024-10-21"
	geminiFlash = "google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent"
	geminiThree = "google-ai-studio/v1beta/models/gemini-3-flash-preview:generateContent"
)

// newPost makes a request to a path below the gateway, as a correct client sends it, with the
// credentials of a provider.
func newPost(ctx context.Context, s *Server, path, provider, body string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/"+s.Config.Account+"/"+s.Config.Gateway+"/"+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("Cf-Aig-Authorization", "Bearer "+s.Config.Token)
	r.Header.Set("Cf-Aig-Metadata", `{"user":"dev@example.com"}`)
	headers := s.Config.ProviderHeaders[provider]
	if strings.HasPrefix(path, "anthropic/") {
		headers = anthropicHeaders(headers)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	return r
}

type response struct {
	status int
	header http.Header
	body   string
	err    error // the error of reading the body
}

func send(t *testing.T, r *http.Request) response {
	t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return response{res.StatusCode, res.Header, string(body), err}
}

// post sends a correct request. The provider is the first part of the path, or for compat that of
// the model.
func post(t *testing.T, s *Server, path, body string) response {
	t.Helper()
	provider, _, _ := strings.Cut(path, "/")
	if provider == "compat" {
		if _, model, ok := strings.Cut(body, `"model":"`); ok {
			provider, _, _ = strings.Cut(model, "/")
		}
	}
	return send(t, newPost(t.Context(), s, path, provider, body))
}

func TestRequestsAreRecorded(t *testing.T) {
	s := start(t)
	res := post(t, s, azureChat, `{"messages":[{"role":"user","content":"hi"}]}`)
	if res.status != 200 || res.header.Get("Cf-Aig-Log-Id") == "" || res.header.Get("Cf-Aig-Step") != "0" ||
		res.header.Get("Cf-Ray") == "" || res.header.Get("Cf-Aig-Cache-Status") != "MISS" {
		t.Error(res)
	}
	all := s.Requests()
	if len(all) != 1 {
		t.Fatal(len(all), "requests")
	}
	r := all[0]
	if r.Method != "POST" || !strings.HasSuffix(r.Path, "/azure-openai/myinstance/gpt-4o-mini/chat/completions") ||
		r.RawQuery != "api-version=2024-10-21" || string(r.Body) != `{"messages":[{"role":"user","content":"hi"}]}` ||
		r.Header.Get("Api-Key") == "" || r.Host == "" || r.ClientGone() {
		t.Errorf("%+v", r)
	}
	if complaints := s.Complaints(); len(complaints) != 0 {
		t.Error(complaints)
	}
}

func TestWaitReturnsARequestAsItArrives(t *testing.T) {
	s := start(t)
	hold := make(chan struct{})
	s.Next(Scenario{Hold: hold})
	done := make(chan response)
	go func() { done <- send(t, newPost(t.Context(), s, chatPath, "workers-ai", chatBody)) }()
	r, err := s.Wait(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.Ended():
		t.Error("ended while held")
	case res := <-done:
		t.Error("answered while held:", res)
	default:
	}
	close(hold)
	if res := <-done; res.status != 200 {
		t.Error(res)
	}
	<-r.Ended()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Wait(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestTheServerNoticesAClientThatGoes(t *testing.T) {
	step := make(chan struct{})
	for name, sc := range map[string]Scenario{
		"before the answer":  {Hold: make(chan struct{})},
		"between two frames": {Step: step},
		"during a delay":     {Delay: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.Next(sc)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			errs := make(chan error, 1)
			go func() {
				res, err := http.DefaultClient.Do(newPost(ctx, s, chatPath, "workers-ai", chatStream))
				if err == nil {
					_, err = io.ReadAll(res.Body)
					_ = res.Body.Close()
				}
				errs <- err
			}()
			r, err := s.Wait(ctx, 1)
			if err != nil {
				t.Fatal(err)
			}
			if sc.Step != nil {
				step <- struct{}{}
			}
			cancel()
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if !r.ClientGone() {
				t.Error("not seen")
			}
		})
	}
}

func TestCloseEndsHeldRequests(t *testing.T) {
	s := start(t)
	s.Always(Scenario{Hold: make(chan struct{})})
	errs := make(chan error, 1)
	go func() {
		res, err := http.DefaultClient.Do(newPost(t.Context(), s, chatPath, "workers-ai", chatBody))
		if err == nil {
			_ = res.Body.Close()
		}
		errs <- err
	}()
	r, err := s.Wait(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if <-errs == nil {
		t.Error("a closed server has answered")
	}
	<-r.Ended()
}

func TestRequestsMayComeAtTheSameTime(t *testing.T) {
	s := start(t)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if res := post(t, s, chatPath, chatStream); res.status != 200 || !strings.HasSuffix(res.body, "data: [DONE]\n\n") {
				t.Error(res)
			}
		})
	}
	group.Wait()
	if n := len(s.Requests()); n != 20 {
		t.Error(n, "requests")
	}
}

func TestTheServerIsAHandlerThatWorksWithTLS(t *testing.T) {
	s := start(t)
	secure := httptest.NewTLSServer(s)
	defer secure.Close()
	r := newPost(t.Context(), s, chatPath, "workers-ai", chatBody)
	r.URL.Scheme, r.URL.Host = "https", strings.TrimPrefix(secure.URL, "https://")
	res, err := secure.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

func TestAnIncompleteBodyIsNotAnswered(t *testing.T) {
	s := start(t)
	recorder := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v1/", io.MultiReader(strings.NewReader("{"), brokenReader{}))
	s.ServeHTTP(recorder, r)
	if request := s.Requests()[0]; recorder.Code != 400 || string(request.Body) != "{" || !request.ClientGone() {
		t.Error(recorder.Code, request)
	}
}

func TestATooLargeBodyIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("-short goes with the race detector, which makes this slow and finds nothing in it")
	}
	s := start(t)
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, httptest.NewRequest("POST", "/v1/", io.LimitReader(zeros{}, maxBody+1)))
	if recorder.Code != 413 || s.Requests()[0].ClientGone() {
		t.Error(recorder.Code)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestTheGatewayRefusesInvalidRequests(t *testing.T) {
	for name, test := range map[string]struct {
		edit   func(r *http.Request)
		status int
		want   string // a part of the body
	}{
		"another account": {func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, "acc1", "acc2", 1) }, 400, `"internalCode":2001`},
		"another gateway": {func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, "/gatewaytest/", "/other/", 1) }, 400, `"internalCode":2001`},
		"no token":        {func(r *http.Request) { r.Header.Del("Cf-Aig-Authorization") }, 401, `"internalCode":2009`},
		"another token":   {func(r *http.Request) { r.Header.Set("Cf-Aig-Authorization", "Bearer other") }, 401, `"internalCode":2009`},
		"a token without its scheme": {func(r *http.Request) { r.Header.Set("Cf-Aig-Authorization", "gatewaytest-token") }, 401,
			`{"description":"Unauthorized","error":[{"code":2009,"message":"Unauthorized"}],"httpCode":401,"internalCode":2009,"message":"Unauthorized","messages":[],"name":"AiGatewayError","result":[],"success":false}`},
		"an unknown provider": {func(r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, "workers-ai", "no-such", 1)
			r.Header.Del("Authorization")
		}, 400, `"internalCode":2008`},
		"another method": {func(r *http.Request) { r.Method = "GET" }, 405, `"code":7001`},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			r := newPost(t.Context(), s, chatPath, "workers-ai", chatBody)
			test.edit(r)
			if res := send(t, r); res.status != test.status || !strings.Contains(res.body, test.want) {
				t.Error(res.status, res.body)
			}
			if complaints := s.Complaints(); len(complaints) != 0 {
				t.Error(complaints)
			}
		})
	}
}
