package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestCreateTableRefusesWhatIsNoTable(t *testing.T) {
	for _, args := range [][]string{{}, {"one", "two"}, {"ab"}, {"redis://table"}, {"dynamodb://key:secret@table"}, {"table", "--heads", "x"}} {
		err := execute(t, newDynamoDBCommand(), append([]string{"create-table"}, args...))
		if exitCode(err) != exitUsage || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestCreateTableSaysWhatIsWrongWithTheServer(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	err := execute(t, newDynamoDBCommand(), []string{"create-table", "dynamodb://waggle?endpoint=" + server.URL})
	if exitCode(err) != exitFailed || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("%v", err)
	}
	if err := execute(t, newDynamoDBCommand(), []string{"create-table", "waggle", "--heads", "3"}); err == nil || !strings.Contains(err.Error(), "1, 2, 4") {
		t.Errorf("%v", err)
	}
}
