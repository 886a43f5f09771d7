package config

import (
	"net/url"
	"strings"
)

// masked is what is shown of a secret.
const masked = "********"

// mask hides the passwords in a URL, and all of one that cannot be read.
func mask(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil {
		return masked
	}
	if u.RawQuery != "" {
		u.RawQuery = maskQuery(u.RawQuery)
		s = u.String()
	}
	if _, has := u.User.Password(); has {
		return strings.Replace(u.Redacted(), ":xxxxx@", ":"+masked+"@", 1)
	}
	return s
}

// maskQuery hides the parameters that are passwords: "password" of a database's
// URL, "sslpassword".
func maskQuery(query string) string {
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err != nil || strings.HasSuffix(strings.ToLower(plain), "password") {
			parts[i] = name + "=" + masked
		}
	}
	return strings.Join(parts, "&")
}

// maskDatabase is mask for what should be a database's URL. Of anything else,
// such as the keywords and values that PostgreSQL's own tools take, nothing is
// shown that may be a password.
func maskDatabase(s string) string {
	if isPostgres(s) {
		return mask(s)
	}
	if _, ok := sqliteFile(s); ok || !strings.ContainsAny(s, ":@= ") {
		return s
	}
	return masked
}

// maskDatabases is maskDatabase for a list, as a variable has it.
func maskDatabases(list string) string {
	return strings.Join(maskAll(strings.Split(list, ","), maskDatabase), ",")
}

// maskAll masks each of a list.
func maskAll[T any](list []T, mask func(T) string) []string {
	shown := make([]string, len(list))
	for i, item := range list {
		shown[i] = mask(item)
	}
	return shown
}
