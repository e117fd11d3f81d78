package function

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func urlFunctions() []*Scalar {
	part := func(name, result, doc string, get func(u *url.URL) types.Value) *Scalar {
		return scalar(name, categoryURL, doc, nullable("STRING input", result, func(a []types.Value) (types.Value, error) {
			u, err := parseURL(a[0].Str())
			if err != nil {
				return none, err
			}
			return get(u), nil
		}))
	}
	orNull := func(s string, present bool) types.Value {
		if !present {
			return none
		}
		return text(s)
	}
	return []*Scalar{
		part("url_extract_protocol", "STRING", "Extracts the protocol from an application/x-www-form-urlencoded encoded String input.", func(u *url.URL) types.Value { return orNull(u.Scheme, u.Scheme != "") }),
		part("url_extract_host", "STRING", "Extracts the Host Name of an application/x-www-form-urlencoded String input.", func(u *url.URL) types.Value { return orNull(u.Hostname(), u.Host != "") }),
		part("url_extract_port", "INTEGER", "Extracts the port from an application/x-www-form-urlencoded encoded String. If there is no port or the string is invalid, this will return NULL.", func(u *url.URL) types.Value {
			n, err := strconv.Atoi(u.Port())
			if err != nil {
				return none
			}
			return integer(n)
		}),
		part("url_extract_path", "STRING", "Extracts the path of an application/x-www-form-urlencoded encoded String input.", func(u *url.URL) types.Value { return orNull(u.Path, u.Opaque == "") }),
		part("url_extract_query", "STRING", "Extracts the decoded query of an application/x-www-form-urlencoded String input.", func(u *url.URL) types.Value {
			return orNull(unescapePath(u.RawQuery), u.RawQuery != "" || u.ForceQuery)
		}),
		part("url_extract_fragment", "STRING", "Extracts the fragment of an application/x-www-form-urlencoded encoded String input.", func(u *url.URL) types.Value { return orNull(u.Fragment, u.Fragment != "") }),
		scalar("url_extract_parameter", categoryURL, "Extracts a parameter with a specified name encoded inside an application/x-www-form-urlencoded String.",
			nullable("STRING input, STRING paramToFind", "STRING", func(a []types.Value) (types.Value, error) {
				u, err := parseURL(a[0].Str())
				if err != nil {
					return none, err
				}
				for _, p := range strings.Split(unescapePath(u.RawQuery), "&") {
					if name, value, _ := strings.Cut(p, "="); name == a[1].Str() && u.RawQuery != "" {
						return text(value), nil
					}
				}
				return none, nil
			})),
		scalar("url_encode_param", categoryURL, "Returns a version of the input with all URL sensitive characters encoded using the application/x-www-form-urlencoded standard.",
			nullable("STRING input", "STRING", func(a []types.Value) (types.Value, error) {
				s := url.QueryEscape(a[0].Str())
				return text(strings.ReplaceAll(strings.ReplaceAll(s, "%2A", "*"), "~", "%7E")), nil
			})),
		scalar("url_decode_param", categoryURL, "Decodes a previously encoded application/x-www-form-urlencoded String.",
			nullable("STRING input", "STRING", func(a []types.Value) (types.Value, error) {
				s, err := url.QueryUnescape(a[0].Str())
				if err != nil {
					return none, fmt.Errorf("url_decode function encountered an encoding exception: %w", err)
				}
				return text(s), nil
			})),
	}
}

// parseURL refuses what java.net.URI does, and Go does not.
func parseURL(s string) (*url.URL, error) {
	bad := fmt.Errorf("URL input has invalid syntax: %s", s)
	if strings.ContainsAny(s, " \t\n\r\"<>\\^`{|}") {
		return nil, bad
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, bad
	}
	return u, nil
}

// unescapePath decodes %xx, and leaves + alone.
func unescapePath(s string) string {
	out, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return out
}
