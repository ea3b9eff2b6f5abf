package config

import (
	"strings"
	"testing"
)

func TestEventsAreRefusedWithTheRemedy(t *testing.T) {
	const secret = ", secret_file: s"
	for text, remedy := range map[string]string{
		"webhook: 'https://a.example/x'":                                     "waggle.yaml:1: events.webhook needs events.secret_file",
		"nats: 'tls://a.example:4222'":                                       "waggle.yaml:1: events.nats needs events.secret_file",
		"webhook: 'http://a.example/x'" + secret:                             "give a URL of https://",
		"nats: 'nats://a.example:4222'" + secret:                             "unencrypted to a.example",
		"webhook: 'a.example/x'" + secret:                                    "wants the URL of a receiver such as https://accounts.example/waggle",
		"webhook: 'ftp://a.example/x'" + secret:                              "wants the URL of a receiver",
		"webhook: 'https://a.example/#x'" + secret:                           "leave out what follows #",
		"webhook: 'https://u:***@a.example/'" + secret:                       "its password is hidden",
		"webhook: 'https://a.example/x', subject: 'a b'" + secret:            "events.subject is up to eight words",
		"webhook: 'https://a.example/x', jetstream: on" + secret:             "one of auto, always, never",
		"webhook: 'https://a.example/x', batch: 0" + secret:                  "events.batch must be 1 to 10000",
		"webhook: 'http://a.example/x', unencrypted: true":                   "needs events.secret_file",
		"webhook: 'https://a.example/x', nats: 'nats://[::2]:4222'" + secret: "unencrypted to ::2",
	} {
		if _, err := read("events: {" + text + "}\n"); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%s: %v, want %q", text, err, remedy)
		}
	}
	for _, text := range []string{
		"webhook: 'https://a.example/x?y=1'" + secret, "webhook: 'http://127.0.0.1:8000'" + secret, "webhook: 'http://localhost/x'" + secret,
		"nats: 'nats://[::1]:4222'" + secret, "webhook: 'http://a.example/x', nats: 'nats://a.example:1', unencrypted: true" + secret, "batch: 1",
	} {
		if _, err := read("events: {" + text + "}\n"); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestPasswordOfAWebhookIsHidden(t *testing.T) {
	c, err := read("events: {webhook: 'https://u:hush@a.example/x', secret_file: s}\n")
	if err != nil {
		t.Fatal(err)
	}
	if text := printed(&Loaded{Config: c}); string(c.Events.Webhook) != "https://u:hush@a.example/x" || strings.Contains(text, "hush") || !strings.Contains(text, "https://u:***@a.example/x") {
		t.Errorf("%s is printed in\n%s", c.Events.Webhook, text)
	}
}
