package s3

import (
	"strings"
	"testing"
)

func TestURLIsRead(t *testing.T) {
	for text, want := range map[string]Options{
		"s3://tracker":                            {Bucket: "tracker"},
		"s3://tracker/":                           {Bucket: "tracker"},
		"s3://my.bucket-1/a/b?region=eu-north-1":  {Bucket: "my.bucket-1", Prefix: "a/b", Region: "eu-north-1"},
		"s3://b-1/p?endpoint=http://127.0.0.1:70": {Bucket: "b-1", Prefix: "p", Endpoint: "http://127.0.0.1:70"},
		"s3://b-1?deletes=conditional":            {Bucket: "b-1", Deletes: DeletesConditional},
	} {
		o, err := ParseURL(text)
		if err != nil || o.Bucket != want.Bucket || o.Prefix != want.Prefix || o.Region != want.Region || o.Endpoint != want.Endpoint || o.Deletes != want.Deletes {
			t.Errorf("%s: %+v, %v", text, o, err)
		}
		again, err := ParseURL(o.String())
		if err != nil || again.String() != o.String() {
			t.Errorf("%s is written %s, which is read as %s, %v", text, o, again, err)
		}
	}
}

func TestURLThatIsWrongIsRefusedWithTheRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"redis://tracker":                         "its scheme is \"redis\": write s3://",
		"s3://":                                   "no name of a bucket",
		"s3://Upper":                              "no name of a bucket",
		"s3://ab":                                 "no name of a bucket",
		"s3://tracker/../x":                       "no prefix",
		"s3://tracker/a//b":                       "no prefix",
		"s3://tracker/ä":                          "no prefix",
		"s3://key:hidden@tracker":                 "give credentials as AWS programs take them",
		"s3://key:12/hidden@tracker":              "give credentials as AWS programs take them",
		"s3://key/hidden@tracker":                 "give credentials as AWS programs take them",
		"s3://tracker?region=EU":                  "write it as eu-central-1",
		"s3://tracker?regoin=x":                   "no option \"regoin\"",
		"s3://tracker?region=a&region=b":          "say it once",
		"s3://tracker?endpoint=127.0.0.1:70":      "write it as http://",
		"s3://tracker?endpoint=ftp://x":           "write it as http://",
		"s3://tracker?endpoint=http://":           "write it as http://",
		"s3://tracker?endpoint=http://a:hidden@h": "it has a user or a password",
		"s3://tracker?deletes=yes":                "it is conditional or never",
		"s3://tracker#x":                          "#",
		"s3://tracker?a=%zz":                      "cannot be read",
		"s3://%zz:hidden":                         "no URL",
	} {
		_, err := ParseURL(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestNothingSecretIsWritten(t *testing.T) {
	o := Options{Bucket: "tracker", Endpoint: "http://user:hidden@host:1"}
	if text := o.String(); strings.Contains(text, "hidden") || !strings.Contains(text, "host") {
		t.Error(text)
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("s3://tracker/prefix?region=eu-central-1&endpoint=http://127.0.0.1:7070&deletes=never")
	f.Add("s3://a:b@c")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseURL(text)
		if err != nil {
			return
		}
		again, err := ParseURL(o.String())
		if err != nil || again.String() != o.String() {
			t.Errorf("%q is written %q, which is %v, %v", text, o, again, err)
		}
	})
}
