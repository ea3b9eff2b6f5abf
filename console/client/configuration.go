package client

import (
	"context"
	"net/http"
)

// Setting is a key of the configuration that is in force.
type Setting struct {
	Key         string `json:"key" example:"announce.interval"`
	Section     string `json:"section" doc:"Keys of one section follow each other; empty for a key outside of all." example:"announce"`
	Value       string `json:"value" doc:"As a file has it. What is secret in it reads ***." example:"30m"`
	Default     string `json:"default" example:"30m"`
	Source      string `json:"source" doc:"Where the value comes from: default, FILE:LINE, an environment variable or a flag." example:"waggle.yaml:12"`
	Doc         string `json:"doc" doc:"What it means: paragraphs with an empty line between them; indented lines are examples or lists."`
	Hidden      bool   `json:"hidden" doc:"Whether a secret in the value is hidden."`
	Flag        string `json:"flag" doc:"Flag of waggle serve that sets it." example:"--announce-interval"`
	Environment string `json:"environment" doc:"Environment variable that sets it." example:"WAGGLE_ANNOUNCE_INTERVAL"`
}

// Configuration is all keys of the configuration, in the order of the file that waggle
// config print prints.
type Configuration struct {
	File     string            `json:"file,omitempty" doc:"Path of the file that was read; left out if there is none."`
	Settings []Setting         `json:"settings" nullable:"false"`
	Sections map[string]string `json:"sections" doc:"What each section is about, by its name."`
}

// Configuration returns the configuration that is in force. It is for an admin.
func (c *Client) Configuration(ctx context.Context) (Configuration, error) {
	var all Configuration
	err := c.json(ctx, http.MethodGet, c.url("configuration", nil), nil, &all)
	return all, err
}
