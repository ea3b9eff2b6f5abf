// Package nobody lets tests be a user that owns nothing, also where they run as root, to
// whom nothing is forbidden.
package nobody
