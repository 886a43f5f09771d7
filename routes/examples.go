package routes

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"dueto/openapi"
	"dueto/services"
)

// recordedExamples are requests to a server and its answers; a test makes them
// anew, and compares. Tokens in them are cut short. The document has them in
// this order.
//
//go:embed examples.json
var recordedExamples []byte

// exampleURL is the public URL of the server that was recorded.
const exampleURL = "http://127.0.0.1:8000"

// example is a request that was really made, by the operation that it is of.
type example struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Request json.RawMessage `json:"request,omitempty"`
	Status  int             `json:"status"`
	Answer  json.RawMessage `json:"answer,omitempty"`
	Code    services.Code   `json:"code,omitempty"` // of a refusal
	Mode    string          `json:"mode,omitempty"` // the only one in which it is so, where the bodies do not tell
}

type examples []example

// readExamples gives the examples as a server at a URL would have them.
func readExamples(base string) (list examples) {
	quoted, err := json.Marshal(base)
	if err != nil {
		panic(err) // of a text: cannot fail
	}
	text := strings.ReplaceAll(string(recordedExamples), exampleURL, strings.Trim(string(quoted), `"`))
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		panic("examples.json: " + err.Error()) // a file of ours
	}
	return list
}

// in leaves out what is not asked or answered where only some modes are allowed.
func (list examples) in(modes []string) examples {
	return slices.DeleteFunc(list, func(e example) bool {
		if e.Mode != "" && !slices.Contains(modes, e.Mode) {
			return true
		}
		for _, body := range []json.RawMessage{e.Request, e.Answer} {
			for _, found := range carried.FindAllSubmatch(body, -1) {
				mode := cmp.Or(string(found[1]), services.ModeJSON)
				if !slices.Contains(modes, mode) {
					return true
				}
			}
		}
		return false
	})
}

// carried finds the modes in a body, and the tokens that only one has in it.
var carried = regexp.MustCompile(`"mode": ?"([a-z-]+)"|"token_type": ?"Bearer"`)

// requests gives the bodies that an operation was asked with, by name.
func (list examples) requests(id string) openapi.Examples {
	return list.pick(func(e example) (json.RawMessage, bool) { return e.Request, e.ID == id && e.Code == "" })
}

// answers gives what an operation answered under a status.
func (list examples) answers(id string, status int) openapi.Examples {
	return list.pick(func(e example) (json.RawMessage, bool) {
		return e.Answer, e.ID == id && e.Status == status && e.Code == ""
	})
}

// refusals gives refusals with any of some codes.
func (list examples) refusals(codes []services.Code) openapi.Examples {
	return list.pick(func(e example) (json.RawMessage, bool) {
		return e.Answer, e.Code != "" && slices.Contains(codes, e.Code)
	})
}

func (list examples) pick(choose func(example) (json.RawMessage, bool)) openapi.Examples {
	var found openapi.Examples
	for _, e := range list {
		if value, ok := choose(e); ok && value != nil {
			found.Set(e.Name, openapi.Example{Value: value})
		}
	}
	return found
}
