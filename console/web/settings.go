package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"waggle/account"
	"waggle/console/client"
)

// settingsPage is what the settings show.
type settingsPage struct {
	Tabs     []entry
	File     string // "": none was read
	Sections []settingsSection
}

// settingsSection is a section of the configuration.
type settingsSection struct {
	Name, About string
	Settings    []setting
}

// setting is a key of the configuration.
type setting struct {
	client.Setting
	Changed    bool     // it differs from the default
	Paragraphs []string // what it means; lines of one are as they are
}

// tabs lead from one part of the settings to another.
func tabs(current string) []entry {
	all := []entry{{Path: "/settings", Name: "Configuration"}, {Path: "/settings/accounts", Name: "Accounts"}, {Path: "/settings/audit", Name: "Audit log"}}
	for i := range all {
		if all[i].Path == current {
			all[i].Current = "page"
		}
	}
	return all
}

func (s *Site) settings(r *http.Request) (view, error) {
	c, err := s.api.Configuration(r.Context())
	if err != nil {
		return view{}, err
	}
	p := settingsPage{Tabs: tabs("/settings"), File: c.File}
	for _, one := range c.Settings {
		if n := len(p.Sections); n == 0 || p.Sections[n-1].Name != one.Section {
			p.Sections = append(p.Sections, settingsSection{Name: one.Section, About: c.Sections[one.Section]})
		}
		in := &p.Sections[len(p.Sections)-1]
		in.Settings = append(in.Settings, setting{one, one.Source != "default", strings.Split(strings.TrimSpace(one.Doc), "\n\n")})
	}
	return view{"Settings", &p}, nil
}

// accountsPage is what the accounts show.
type accountsPage struct {
	Tabs     []entry
	Accounts []client.Account
	Paging   paging
	Roles    []choice
	Terms    []choice                 // how long an account lasts, in days
	First    bool                     // there is no credential yet
	Created  *client.AccountWithToken // just now, with a token
	Problem  string                   // why none was created
	Name     string                   // that was asked for
}

func (s *Site) accounts(r *http.Request) (view, error) {
	p, err := s.accountsPage(r)
	return view{"Accounts", p}, err
}

func (s *Site) accountsPage(r *http.Request) (*accountsPage, error) {
	found, err := s.api.AccountsPart(r.Context(), client.Part{Cursor: r.URL.Query().Get("cursor"), Limit: pageSize})
	if err != nil {
		return nil, err
	}
	who := account.From(r.Context())
	return &accountsPage{
		Tabs: tabs("/settings/accounts"), Accounts: found.Accounts, Paging: pages(r.URL, "cursor", found.Next, "Pages of accounts"),
		// Who is on this machine is an admin only as long as there is no credential.
		First: who.Via == account.ViaLoopback && who.Role == account.Admin && len(found.Accounts) == 0,
		Roles: choose("", roles...), Terms: choose("", append([]choice{{Value: "", Label: "never"}}, terms...)...),
	}, nil
}

// roles that an account can have.
var roles = []choice{
	{Value: "viewer", Label: "viewer: reads"},
	{Value: "operator", Label: "operator: also uploads, deletes and edits torrents, resets and drops links"},
	{Value: "admin", Label: "admin: also manages accounts, makes links and sees the settings"},
}

// terms are how long an account may last, in days.
var terms = []choice{
	{Value: "1", Label: "in a day"}, {Value: "30", Label: "in 30 days"}, {Value: "90", Label: "in 90 days"}, {Value: "365", Label: "in 365 days"},
}

// choose returns choices of which one is selected.
func choose(value string, all ...choice) []choice {
	all = slices.Clone(all)
	for i := range all {
		all[i].Selected = all[i].Value == value
	}
	return all
}

// maxDays is how long an account lasts at most, if not for ever.
const maxDays = 3650

// until returns when an account ends that lasts for so many days.
func (s *Site) until(days string) (time.Time, error) {
	n, err := strconv.Atoi(days)
	if err != nil || n < 1 || n > maxDays {
		return time.Time{}, &refusal{http.StatusUnprocessableEntity, "It lasts for 1 to 3,650 days, or for ever."}
	}
	return s.options.Now().UTC().AddDate(0, 0, n), nil
}

// createAccount makes an account. Its token is shown by the answer itself, once: nothing
// else may keep it.
func (s *Site) createAccount(w http.ResponseWriter, r *http.Request) {
	if !s.parseForm(w, r) {
		return
	}
	asked := client.NewAccount{Name: r.PostFormValue("name"), Role: r.PostFormValue("role"), Password: r.PostFormValue("password")}
	if asked.Password == "" && r.PostFormValue("secret") == "password" {
		s.refuseAccount(w, r, asked.Name, &refusal{http.StatusUnprocessableEntity, "Give a password of 10 characters or more, or let waggle make a token."})
		return
	}
	if days := r.PostFormValue("days"); days != "" {
		var err error
		if asked.Expires, err = s.until(days); err != nil {
			s.refuseAccount(w, r, asked.Name, err)
			return
		}
	}
	if asked.Password != r.PostFormValue("again") {
		s.refuseAccount(w, r, asked.Name, &refusal{http.StatusUnprocessableEntity, "The two passwords differ: type them again."})
		return
	}
	first := account.From(r.Context()).Via == account.ViaLoopback
	created, err := s.api.CreateAccount(r.Context(), asked)
	if err != nil {
		s.refuseAccount(w, r, asked.Name, err)
		return
	}
	switch {
	case created.Token != "":
		s.showAccounts(w, r, http.StatusCreated, func(p *accountsPage) { p.Created, p.First = &created, false })
	case first:
		s.onward(w, r, "/login?next=/settings/accounts", done("The account "+clip(created.Name, 80)+" is made. From now on changes need a log-in."))
	default:
		s.onward(w, r, "/settings/accounts", done("The account "+clip(created.Name, 80)+" is made"))
	}
}

// refuseAccount shows the form again with what is wrong.
func (s *Site) refuseAccount(w http.ResponseWriter, r *http.Request, name string, err error) {
	status, text := reason(err)
	if !formHelps(status) {
		s.fail(w, r, err)
		return
	}
	s.showAccounts(w, r, status, func(p *accountsPage) { p.Problem, p.Name = text, name })
}

// formHelps reports whether who gets a status can do something about it in the form.
func formHelps(status int) bool {
	return status != http.StatusUnauthorized && status != http.StatusForbidden && status < http.StatusInternalServerError
}

func (s *Site) showAccounts(w http.ResponseWriter, r *http.Request, status int, change func(*accountsPage)) {
	p, err := s.accountsPage(r)
	if err != nil {
		// Whoever made the first account may not list it: the token is what matters.
		p = &accountsPage{Tabs: tabs("/settings/accounts")}
	}
	change(p)
	s.accountsShown.write(w, r, status, s.accountsShown.frame(r, view{"Accounts", p}))
}

// deleteAccountPath has the name as a parameter: not every name can be part of a path.
const deleteAccountPath = "/settings/accounts/delete"

func (s *Site) deleteAccount(r *http.Request) (view, error) {
	name := r.URL.Query().Get("name")
	if role(r) < account.Admin {
		return view{}, &refusal{http.StatusForbidden, "Accounts are managed by admins."}
	}
	text := "Its sessions end at once, and its token or password is good no more."
	if account.From(r.Context()).Name == name {
		text += " This is your own account."
	}
	return view{"Delete " + clip(name, 80), deletion{name, text, deleteAccountPath + "?" + url.Values{"name": {name}}.Encode(), "/settings/accounts"}}, nil
}

func (s *Site) removeAccount(r *http.Request) (text, next string, err error) {
	name := r.FormValue("name") // of the form, or of its path where a script filled that in
	return "The account " + clip(name, 80) + " is deleted", "/settings/accounts", s.api.DeleteAccount(r.Context(), name)
}

// auditPage is what the audit log shows.
type auditPage struct {
	Tabs    []entry
	Entries []client.AuditEntry
	Paging  paging
}

func (s *Site) audit(r *http.Request) (view, error) {
	found, err := s.api.AuditPart(r.Context(), client.Part{Cursor: r.URL.Query().Get("cursor"), Limit: pageSize})
	if err != nil {
		return view{}, err
	}
	return view{"Audit log", &auditPage{tabs("/settings/audit"), found.Entries, pages(r.URL, "cursor", found.Next, "Pages of the audit log")}}, nil
}
