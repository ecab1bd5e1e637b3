package pages

// Users is the operator's list of users.
type Users struct {
	// Query is what was searched for, or "".
	Query string

	// All is the number of users, and Found the number of those that fit the query.
	All, Found int64

	// Rows are the users on this page.
	Rows []User

	// Page is the number of this page, and Pages that of the last. They begin with 1.
	Page, Pages int64

	// Previous and Next lead to the pages beside this one, or are "".
	Previous, Next string
}

func (Users) template() string { return "users" }

// User is a user as the operator sees one. The texts are ready to be shown.
type User struct {
	Email, Href string

	// Broken says why the user's record cannot be read, or is "". All else is then unknown.
	Broken string

	// Status is enabled, disabled or expired.
	Status string

	KeyID, Created, Expires, Models, Team string

	// PreviousUntil is when the previous key ends, or "".
	PreviousUntil string

	// PlainKey reports whether the keystore has the key in the clear.
	PlainKey bool
}

// UserPage is all about one user.
type UserPage struct {
	User

	// NewKey is a key that has just been made. It is shown this once. Otherwise it is "".
	NewKey string

	// Limits are what the running server counts. Unasked reports that no server could be asked, and Unknown that the
	// server has no record of the user that it can use.
	Limits           []Limit
	Unasked, Unknown bool

	// Form has what the operator can change. Version changes when the keystore has something else in one of its fields.
	Form    UserForm
	Version string

	// Usage is nil if there is no ledger. Fault says why the ledger cannot be read, or is "".
	Usage *Usage
	Fault string
}

func (UserPage) template() string { return "user" }

// UserForm are the fields of the forms that add and change a user.
type UserForm struct {
	Email, Expires, Metadata, Requests, Tokens, Parallel string

	// Only reports whether the user may use only Models, one pattern a line.
	Only   bool
	Models string
}

// AddUser is the form for a new user.
type AddUser struct{ Form UserForm }

func (AddUser) template() string { return "adduser" }

// RemoveUser asks whether to remove a user.
type RemoveUser struct{ Email, Back string }

func (RemoveUser) template() string { return "removeuser" }

// Providers is the operator's list of providers.
type Providers struct{ Rows []ProviderRow }

func (Providers) template() string { return "providers" }

// ProviderRow is a provider, without its secrets: it has the names of headers and parameters, but no values.
type ProviderRow struct {
	Name, Headers, Query string
	Models               []string
}

// UsagePage is what was used by whom.
type UsagePage struct {
	// Bys and Periods lead to other views.
	Bys, Periods []Link

	// Usage is nil if there is no ledger, or if it cannot be read. Fault says why it cannot, or is "".
	Usage *Usage
	Fault string
}

func (UsagePage) template() string { return "usage" }

// ServerPage is the state of the running server.
type ServerPage struct {
	// Fault says why no server could be asked, or is "".
	Fault string

	// Admin is the address of the server's admin endpoint.
	Admin string

	Keystores []KeystoreState
}

func (ServerPage) template() string { return "server" }

// KeystoreState is what a server has of a keystore in memory.
type KeystoreState struct {
	Name   string
	Budget string // or "" if there is none
	Tables []TableState
}

// TableState is what a server has of a table of a keystore in memory.
type TableState struct {
	Name                              string
	Entries, Absent                   int64
	Oldest, LastAnswer, LastError, At string // "" if there is none
}
