package dynamodb_test

import (
	"strings"
	"testing"

	"waggle/store/dynamodb"
)

func TestURLIsReadAndWrittenBack(t *testing.T) {
	for _, text := range []string{
		"dynamodb://waggle",
		"dynamodb://My_table-1.x?region=eu-central-1",
		"dynamodb://waggle?endpoint=http://127.0.0.1:8000&region=us-east-1",
	} {
		o, err := dynamodb.ParseURL(text)
		if err != nil || o.String() != text {
			t.Errorf("%s is read as %s, %v", text, o, err)
		}
	}
	o, err := dynamodb.ParseURL("dynamodb://t1x?endpoint=https://h:1/&region=r")
	if err != nil || o.Table != "t1x" || o.Endpoint != "https://h:1/" || o.Region != "r" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestURLThatIsWrongIsRefusedInWords(t *testing.T) {
	for text, want := range map[string]string{
		"redis://table":                                  `its scheme is "redis"`,
		"dynamodb://":                                    "no name of a table",
		"dynamodb://ab":                                  "3 to 255",
		"dynamodb://table/path":                          "after the table",
		"dynamodb://table:80":                            "no name of a table",
		"dynamodb://key:secret@table":                    "AWS_ACCESS_KEY_ID",
		"dynamodb://table?region=EU%20Central":           "eu-central-1",
		"dynamodb://table?regoin=x":                      `no option "regoin"`,
		"dynamodb://table?region=a&region=b":             "2 times",
		"dynamodb://table?endpoint=host:8000":            "no URL of a server",
		"dynamodb://table?endpoint=http://u:secret@host": "the endpoint has a user",
		"dynamodb://table?%zz":                           "after",
		"dynamodb://%zz":                                 "it is no URL",
	} {
		_, err := dynamodb.ParseURL(text)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), want) && want != "after" {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestOptionsHideWhoIsInAnEndpoint(t *testing.T) {
	for _, endpoint := range []string{"http://me:secret@host", "http://me:old@secret@host"} {
		o := dynamodb.Options{Table: "table", Endpoint: endpoint}
		if text := o.String(); strings.Contains(text, "secret") {
			t.Error(text)
		}
		if _, err := dynamodb.Open(t.Context(), o); err == nil || strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	}
}
