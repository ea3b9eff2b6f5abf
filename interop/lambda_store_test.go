package interop

import (
	"strings"
	"testing"
)

func TestEnvironmentsOfAFunctionAreOneTracker(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) string{"Redis": redisStore, "DynamoDB": dynamoDBStore, "S3": s3Store} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			setting := "WAGGLE_STORE=" + open(t)
			_, one := serveFunction(t, setting) // each with a URL of its own
			_, other := serveFunction(t, setting)
			if _, err := one.get(strings.Replace(functionQuery(1000), "left=1", "left=0", 1)); err != nil {
				t.Fatal(err)
			}
			query := strings.NewReplacer("-XX0000-", "-YY0000-", "=1&compact", "=5&compact").Replace(functionQuery(2000))
			body, err := other.get(query)
			if err != nil || !strings.Contains(body, "8:completei1e") || !strings.Contains(body, "5:peers6:\x7f\x00\x00\x01\x03\xe8") {
				t.Errorf("the other environment answers %q, %v", body, err)
			}
		})
	}
}
