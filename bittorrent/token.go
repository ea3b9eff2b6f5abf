package bittorrent

import "strings"

// tokenParameter is how the query of an announce URL names a JSON Web Token, as chihaya has it.
const tokenParameter = "jwt="

// Token returns the token that a query carries, "" where there is none. Tokens have nothing
// to be escaped: one that is, is none. It is a part of the query.
func Token(query string) string {
	for at := 0; ; {
		i := strings.Index(query[at:], tokenParameter)
		if i < 0 {
			return ""
		}
		at += i
		if at == 0 || query[at-1] == '&' {
			token, _, _ := strings.Cut(query[at+len(tokenParameter):], "&")
			return token
		}
		at += len(tokenParameter)
	}
}
