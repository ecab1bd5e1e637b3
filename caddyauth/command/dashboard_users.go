package command

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/pages"
	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// perPage is how many users a page lists. Their records are read in one call.
const perPage = 50

// namesKept is how long the list of users is kept if reading it takes many calls.
const namesKept = 5 * time.Minute

// nameList is the list of all users, in order.
type nameList struct {
	mu    sync.Mutex
	names []string
	read  time.Time
}

// get returns the list. It must not be changed.
func (l *nameList) get(ctx context.Context, a *administration) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.remote && time.Since(l.read) < namesKept {
		return l.names, nil
	}
	names, err := a.store.List(ctx, keystore.APIKeys)
	if err != nil {
		return nil, err
	}
	names = slices.Clone(names)
	slices.Sort(names)
	l.names, l.read = names, time.Now()
	return names, nil
}

// set adds or removes a name that was added or removed here.
func (l *nameList) set(name string, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, found := slices.BinarySearch(l.names, name)
	switch {
	case there && !found:
		l.names = slices.Insert(slices.Clone(l.names), i, name)
	case !there && found:
		l.names = slices.Delete(slices.Clone(l.names), i, i+1)
	}
}

// users answers with a page of the list of users.
func (v *dashboardView) users() error {
	names, err := v.names.get(v.r.Context(), v.a)
	if err != nil {
		return err
	}
	query := strings.TrimSpace(v.r.URL.Query().Get("q"))
	page := pages.Users{Query: query, All: int64(len(names))}
	names = search(names, query)
	page.Found = int64(len(names))
	page.Pages = max(1, (page.Found+perPage-1)/perPage)
	number, _ := strconv.ParseInt(v.r.URL.Query().Get("page"), 10, 64)
	page.Page = min(max(1, number), page.Pages)
	if page.Page > 1 {
		page.Previous = pageOf(query, page.Page-1)
	}
	if page.Page < page.Pages {
		page.Next = pageOf(query, page.Page+1)
	}
	shown := names[(page.Page-1)*perPage : min(page.Page*perPage, page.Found)]
	if page.Rows, err = v.rows(shown); err != nil {
		return err
	}
	return v.write("Users", page, nil)
}

// search returns the names that have query in them, in any case.
func search(names []string, query string) []string {
	if query == "" {
		return names
	}
	query = strings.ToLower(query)
	var found []string
	for _, name := range names {
		if strings.Contains(strings.ToLower(name), query) {
			found = append(found, name)
		}
	}
	return found
}

// pageOf returns the path of a page of the list.
func pageOf(query string, page int64) string {
	values := url.Values{"page": {strconv.FormatInt(page, 10)}}
	if query != "" {
		values.Set("q", query)
	}
	return "/users?" + values.Encode()
}

// rows reads the records of names. Users who have been removed meanwhile are left out.
func (v *dashboardView) rows(names []string) ([]pages.User, error) {
	if len(names) == 0 {
		return nil, nil
	}
	values, err := v.a.get(v.r.Context(), keystore.APIKeys, names)
	if err != nil {
		return nil, err
	}
	var rows []pages.User
	for _, name := range names {
		if value, ok := values[name]; ok {
			rows = append(rows, v.shownUser(name, value))
		}
	}
	return rows, nil
}

// shownUser returns what pages show of a user's record.
func (d *dashboard) shownUser(email string, value []byte) pages.User {
	shown := pages.User{Email: email, Href: hrefOf(email)}
	record, err := keystore.ParseRecord(value)
	if err != nil {
		shown.Broken = err.Error()
		return shown
	}
	view := viewOf(email, record)
	shown.Status, shown.KeyID, shown.PlainKey = view.Status, view.KeyID, view.PlainKey
	shown.Created, shown.Expires, shown.Models = view.created(), view.expires(), view.models()
	if view.PreviousUntil != nil {
		shown.PreviousUntil = view.PreviousUntil.UTC().Format(time.DateTime)
	}
	shown.Team = gjson.ParseBytes(view.Metadata[d.teamEntry()]).String()
	return shown
}

// teamEntry returns the name of the metadata entry that names a user's team.
func (d *dashboard) teamEntry() string {
	if team := d.a.site.handler.Limits.Team; team != nil {
		return caddy.NewReplacer().ReplaceKnown(team.Metadata, "")
	}
	return "team"
}
