package command

import (
	"fmt"
	"net/http"
	"time"

	"github.com/continue-auth/caddy-continue-auth/caddyauth/pages"
	"github.com/continue-auth/caddy-continue-auth/keystore"
)

// user answers with the page of the user whom the query names.
func (v *dashboardView) user() error {
	email := v.r.URL.Query().Get("email")
	record, err := v.record(email)
	if err != nil {
		return err
	}
	return v.userPage(email, record, "", nil)
}

// record reads the record of an existing user.
func (v *dashboardView) record(email string) ([]byte, error) {
	if !keystore.ValidName(email) {
		return nil, &refusal{http.StatusNotFound, "There is no such user."}
	}
	values, err := v.a.get(v.r.Context(), keystore.APIKeys, []string{email})
	if err == nil && values[email] == nil {
		err = &refusal{http.StatusNotFound, "There is no user " + email + "."}
	}
	return values[email], err
}

// userPage answers with the page of a user. newKey is a key that is shown this once, or "". failed is what did not
// work, or nil.
func (v *dashboardView) userPage(email string, record []byte, newKey string, failed error) error {
	page := pages.UserPage{User: v.shownUser(email, record), NewKey: newKey}
	now := time.Now()
	limits, err := v.a.limitsOf(email)
	if err != nil {
		_, down := v.a.status()
		page.Unasked, page.Unknown = down != nil, down == nil
	}
	for i := range limits {
		page.Limits = append(page.Limits, limits[i].Shown(now))
	}
	if parsed, err := keystore.ParseRecord(record); err == nil {
		page.Form = formOf(parsed)
		page.Version = versionOf(page.Form)
	}
	if failed != nil && v.form.Has("only") && !v.outdated(page.Form) { // the operator should not have to fill it in again
		page.Form = v.userForm()
	}
	page.Usage, page.Fault = v.usageOfUser(email, now)
	return v.write(email, page, failed)
}

// addUserForm answers with the form for a new user.
func (v *dashboardView) addUserForm() error { return v.write("Add a user", pages.AddUser{}, nil) }

// addUser makes a key for a new user and shows it.
func (v *dashboardView) addUser() error {
	form := v.userForm()
	key, record, err := v.a.addUser(v.r.Context(), form.Email, restrictionsFor(form), form.Only, false)
	if err != nil {
		return v.write("Add a user", pages.AddUser{Form: form}, err)
	}
	v.names.set(form.Email, true)
	return v.userPage(form.Email, record.Bytes(), key, nil)
}

// rotateUser makes another key for a user and shows it.
func (v *dashboardView) rotateUser() error {
	email := v.form.Get("email")
	key, record, err := v.a.rotateUser(v.r.Context(), email, v.form.Get("key"), v.form.Get("grace"))
	if err != nil {
		return v.again(email, err)
	}
	return v.userPage(email, record.Bytes(), key, nil)
}

// again answers with the page of a user for whom something did not work.
func (v *dashboardView) again(email string, failed error) error {
	record, err := v.record(email)
	if err != nil {
		return failed
	}
	return v.userPage(email, record, "", failed)
}

// setEnabled lets a user in again, or locks the user out.
func (v *dashboardView) setEnabled(enabled bool) error {
	email := v.form.Get("email")
	if err := v.a.setEnabled(v.r.Context(), email, enabled); err != nil {
		return v.again(email, err)
	}
	return v.lead(hrefOf(email))
}

// setUser changes what a user may do, as far as the form differs from the record.
func (v *dashboardView) setUser() error {
	email := v.form.Get("email")
	record, err := v.a.user(v.r.Context(), email)
	if err != nil {
		return v.again(email, err)
	}
	now := formOf(record)
	if v.outdated(now) {
		return v.again(email, fmt.Errorf("%s was changed after this page was loaded, so nothing was saved; the form has what is stored now", email))
	}
	change := changes(now, v.userForm())
	if change.none() {
		v.a.say("Nothing was different.")
		return v.lead(hrefOf(email))
	}
	if err := v.a.setUser(v.r.Context(), email, &change.restrictions, change.limited, change.mustEnd); err != nil {
		return v.again(email, err)
	}
	return v.lead(hrefOf(email))
}

// outdated reports whether the form was made from other fields of the user than are stored now.
func (v *dashboardView) outdated(stored pages.UserForm) bool {
	shown := v.form.Get("version")
	return shown != "" && shown != versionOf(stored)
}

// removeUserForm asks whether to remove a user.
func (v *dashboardView) removeUserForm() error {
	email := v.r.URL.Query().Get("email")
	if _, err := v.record(email); err != nil {
		return err
	}
	return v.write("Remove a user", pages.RemoveUser{Email: email, Back: hrefOf(email)}, nil)
}

// removeUser removes a user.
func (v *dashboardView) removeUser() error {
	email := v.form.Get("email")
	if err := v.a.removeUser(v.r.Context(), email); err != nil {
		return v.again(email, err)
	}
	v.names.set(email, false)
	return v.lead("/users")
}

// userForm reads the fields of a form.
func (v *dashboardView) userForm() pages.UserForm {
	return pages.UserForm{
		Email: v.form.Get("email"), Expires: v.form.Get("expires"), Only: v.form.Get("only") != "", Models: v.form.Get("models"),
		Metadata: v.form.Get("metadata"), Requests: v.form.Get("requests"), Tokens: v.form.Get("tokens"), Parallel: v.form.Get("parallel"),
	}
}
