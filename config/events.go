package config

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"time"
)

// Events says who is told of announces.
type Events struct {
	// URL of a receiver that events are posted to, as https://accounts.example/waggle. Redirects are not
	// followed. A user and a password may stand in it, which is best given by WAGGLE_EVENTS_WEBHOOK. Empty
	// for none.
	Webhook WebhookURL `key:"webhook" default:""`

	// URL of a NATS that events are published at. nats://host:4222 is for this machine alone, unless
	// events.unencrypted is true; any other speaks TLS, as tls://host:4222. A user and a password may stand
	// in it, which is best given by WAGGLE_EVENTS_NATS. Empty for none.
	NATS NATSURL `key:"nats" default:""`

	// Subject that events are published under at events.nats.
	Subject string `key:"subject" default:"waggle.events"`

	// Whether a stream at events.nats has to take the events. With auto it has where there is one; with
	// always they wait for one, and with never whoever listens gets them.
	JetStream string `key:"jetstream" default:"auto" oneof:"auto,always,never"`

	// File of credentials (.creds) for events.nats. Empty for none.
	Credentials Path `key:"credentials" default:""`

	// File of the secret that events are signed with. It is a line of 16 or more characters without spaces,
	// as openssl rand -hex 32 prints them; while it is replaced, the new one and the old one below it. Others
	// than its owner and group must not be able to read the file.
	SecretFile Path `key:"secret_file" default:""`

	// Whether events may leave this machine unencrypted, over http:// or nats://. Whoever is on the way
	// then reads who downloads what.
	Unencrypted bool `key:"unencrypted" default:"false"`

	// Events in one batch at most.
	Batch int `key:"batch" default:"1000" range:"1..10000"`

	// How long an event waits for others of its batch. As much is lost when waggle is killed.
	Every time.Duration `key:"every" default:"1s" range:"100ms..1m"`

	// Whether events have the IP addresses and ports of peers.
	Addresses bool `key:"addresses" default:"true"`

	// Whether batches are compressed (gzip).
	Compress bool `key:"compress" default:"false"`

	// How long a receiver may take for a batch.
	Timeout time.Duration `key:"timeout" default:"10s" range:"1s..5m"`

	// How long a batch may be refused for what is in it before it is put aside. That is by status 400, 409,
	// 413, 415 or 422; it goes into the folder refused of events.directory, and counts as lost. 0: never; it
	// is tried until it is taken, and those behind it wait.
	PutAside time.Duration `key:"put_aside" default:"30m" range:"0s..168h"`

	// Folder of events that wait to be delivered, from one start to the next too. Empty for none: they are
	// in memory, and what waits is lost when waggle ends.
	Directory Path `key:"directory" default:"waggle-data/events"`
}

// On reports whether anybody is told.
func (e *Events) On() bool { return e.Webhook != "" || e.NATS != "" }

// Plain reports whether the NATS is spoken to without TLS, unless its URL demands it.
func (e *Events) Plain() bool { return strings.HasPrefix(string(e.NATS), "nats://") }

// WebhookURL is where events are posted to: http or https; empty for nowhere.
type WebhookURL string

// String is the URL without its password. The URL itself is string(u).
func (u WebhookURL) String() string { return hidePassword(string(u)) }

func parseWebhookURL(text string) (WebhookURL, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, hidden+"@"):
		return "", errors.New("its password is hidden: put the password in place of " + hidden)
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errShape
	case u.Fragment != "":
		return "", errors.New("leave out what follows #")
	}
	return WebhookURL(text), nil
}

// events checks the rules of and between keys of events.
func (l *loader) events() {
	c := &l.loaded.Config.Events
	if !subjects().MatchString(c.Subject) {
		l.refuse(l.byPath["events.subject"], l.loaded.Sources["events.subject"],
			"is up to eight words of 1 to 32 ASCII letters, digits, - and _, with dots between them, as waggle.events, unlike %s", shown(c.Subject))
	}
	if !c.On() {
		return
	}
	blame := "events.webhook"
	if c.Webhook == "" {
		blame = "events.nats"
	}
	if c.SecretFile == "" && !l.broken["events.secret_file"] {
		l.add(l.loaded.Sources[blame], "%s needs events.secret_file, so that the receiver knows whom events are from: "+
			"make one with (umask 077; openssl rand -hex 32 > events.secret)", blame)
	}
	for key, open := range map[string]string{"events.webhook": openly(string(c.Webhook), "http"), "events.nats": openly(string(c.NATS), "nats")} {
		if open != "" && !c.Unencrypted {
			l.add(l.loaded.Sources[key], "%s would send who downloads what unencrypted to %s: give a URL of https:// or tls://, "+
				"or set events.unencrypted to true where nobody else is on the way", key, open)
		}
	}
}

// openly returns the host of a URL that is reached unencrypted beyond this machine; "": it is not.
func openly(text, scheme string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != scheme || u.Hostname() == "localhost" {
		return ""
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() {
		return ""
	}
	return u.Hostname()
}
