// Program client takes the README's tour by a client that was generated from the
// document of the server at the URL in its argument. It prints nothing, and ends
// with 0, if all is as it should be.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"time"

	"github.com/oapi-codegen/nullable"

	"dueto.test/client/api"
)

const password = "correct horse battery"

func main() {
	log.SetFlags(log.Lshortfile)
	v := &visitor{Context: context.Background()}
	v.ClientWithResponses = must(api.NewClientWithResponses(os.Args[1], api.WithRequestEditorFn(v.sign)))
	v.join()
	v.makeTasks()
	v.pageThrough()
	v.changeOne()
	v.meetRefusals()
	v.leave()
}

// visitor is a client, signed in once it has a token.
type visitor struct {
	*api.ClientWithResponses
	context.Context
	access, refresh string
}

func (v *visitor) sign(_ context.Context, r *http.Request) error {
	if v.access != "" {
		r.Header.Set("Authorization", "Bearer "+v.access)
	}
	return nil
}

func must[T any](value T, err error) T {
	if err != nil {
		_ = log.Output(2, err.Error())
		os.Exit(1)
	}
	return value
}

// check ends the program where what it got is not as it should be.
func check(good bool, got any) {
	if !good {
		_ = log.Output(2, fmt.Sprintf("got %+v", got))
		os.Exit(1)
	}
}

// answered gives what was decoded of an answer, which has to have a status.
func answered[T any](status, want int, decoded *T) T {
	if status != want || decoded == nil {
		_ = log.Output(2, fmt.Sprintf("status %d, want %d and an answer that can be read", status, want))
		os.Exit(1)
	}
	return *decoded
}

// join registers, follows the link and signs in.
func (v *visitor) join() {
	r := must(v.AuthRegisterWithResponse(v, api.Registration{Username: "alice", Email: "alice@example.com", Password: password}))
	account := answered(r.StatusCode(), http.StatusCreated, r.JSON201)
	check(account.Username == "alice" && account.ConfirmationUrl != nil && account.PendingEmail.IsNull(), account)

	a := must(v.AuthActivateWithResponse(v, path.Base(*account.ConfirmationUrl), nil))
	check(answered(a.StatusCode(), http.StatusOK, a.JSON200).Detail == "User activated.", a.JSON200)

	l := must(v.AuthLoginWithResponse(v, api.Login{Username: "alice", Password: password}))
	v.keep(answered(l.StatusCode(), http.StatusOK, l.JSON200))

	m := must(v.MeReadWithResponse(v, nil))
	me := answered(m.StatusCode(), http.StatusOK, m.JSON200)
	check(me.Id == account.Id && me.Email != nil && string(*me.Email) == "alice@example.com", me)
}

// keep takes the tokens of a login that is answered with them.
func (v *visitor) keep(answer api.SignedIn) {
	tokens := must(answer.AsTokens())
	check(tokens.Access != "" && tokens.Refresh != "" && tokens.TokenType == "Bearer" && tokens.ExpiresIn == 300, tokens)
	v.access, v.refresh = tokens.Access, tokens.Refresh
}

// makeTasks makes five tasks, of which the first has a time.
func (v *visitor) makeTasks() {
	due := time.Date(2026, 12, 18, 19, 12, 1, 0, time.UTC)
	for i := range 5 {
		sent := api.NewTask{Title: fmt.Sprintf("Task %d", i+1), DueTo: nullable.NewNullNullable[time.Time]()}
		if i == 0 {
			sent.DueTo = nullable.NewNullableWithValue(due)
		}
		r := must(v.TasksCreateWithResponse(v, sent))
		task := answered(r.StatusCode(), http.StatusCreated, r.JSON201)
		check(task.Title == sent.Title && task.DoneAt.IsNull() && task.DueTo.IsNull() == (i > 0), task)
		check(r.Headers201 != nil && r.Headers201.Location == task.Url, r.Headers201)
		if i == 0 {
			check(task.DueTo.MustGet().Equal(due), task)
		}
	}
}

var next = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// pageThrough lists the tasks that are not done, two at a time, by the links.
func (v *visitor) pageThrough() {
	params := &api.TasksListParams{PageSize: new(2), Done: new(false), Ordering: new("-title"), Count: new(api.TasksListParamsCount("exact"))}
	var titles []string
	for {
		r := must(v.TasksListWithResponse(v, params))
		for _, task := range answered(r.StatusCode(), http.StatusOK, r.JSON200) {
			titles = append(titles, *task.Title)
		}
		check(r.Headers200 != nil && r.Headers200.XTotalCount != nil && *r.Headers200.XTotalCount == 5, r.Headers200)
		check(r.Headers200.Link != nil, r.Headers200)
		link := next.FindStringSubmatch(*r.Headers200.Link)
		if link == nil {
			break
		}
		params.Cursor = new(must(url.Parse(link[1])).Query().Get("cursor"))
	}
	check(slices.Equal(titles, []string{"Task 5", "Task 4", "Task 3", "Task 2", "Task 1"}), titles)
}

// changeOne reads a task, reads it again if it changed, changes it, fails to
// change the version that it has seen, and deletes it.
func (v *visitor) changeOne() {
	r := must(v.TasksReadWithResponse(v, 1, nil))
	answered(r.StatusCode(), http.StatusOK, r.JSON200)
	seen := r.Headers200.ETag
	again := must(v.TasksReadWithResponse(v, 1, &api.TasksReadParams{IfNoneMatch: &seen}))
	check(again.StatusCode() == http.StatusNotModified, again.Status())

	change := api.TaskChange{Done: new(true), DueTo: nullable.NewNullNullable[time.Time]()}
	u := must(v.TasksUpdateWithResponse(v, 1, &api.TasksUpdateParams{IfMatch: &seen}, change))
	task := answered(u.StatusCode(), http.StatusOK, u.JSON200)
	check(task.Done && !task.DoneAt.IsNull() && task.DueTo.IsNull() && task.Title == "Task 1", task)
	check(u.Headers200.ETag != seen, u.Headers200)

	u = must(v.TasksUpdateWithResponse(v, 1, &api.TasksUpdateParams{IfMatch: &seen}, change))
	stale := answered(u.StatusCode(), http.StatusPreconditionFailed, u.ApplicationproblemJSON412)
	check(stale.Code == "precondition_failed", stale)

	d := must(v.TasksDeleteWithResponse(v, 1, nil))
	check(d.StatusCode() == http.StatusNoContent, d.Status())
	r = must(v.TasksReadWithResponse(v, 1, nil))
	gone := answered(r.StatusCode(), http.StatusNotFound, r.ApplicationproblemJSON404)
	check(gone.Detail == "Not found.", gone)
}

// meetRefusals does what is refused, and reads why.
func (v *visitor) meetRefusals() {
	r := must(v.TasksCreateWithResponse(v, api.NewTask{}))
	p := answered(r.StatusCode(), http.StatusBadRequest, r.ApplicationproblemJSON400)
	check(p.Code == "invalid" && p.Errors != nil && len((*p.Errors)["title"]) == 1, p)

	signedIn := v.access
	v.access = ""
	d := must(v.TasksDeleteWithResponse(v, 2, nil))
	nobody := answered(d.StatusCode(), http.StatusUnauthorized, d.ApplicationproblemJSON401)
	check(nobody.Code == "not_authenticated", nobody)
	check(d.Headers401 != nil && d.Headers401.WWWAuthenticate != "", d.Headers401)
	v.access = signedIn
}

// leave renews the tokens and signs out, after which they are worth nothing.
func (v *visitor) leave() {
	r := must(v.AuthRefreshWithResponse(v, api.Refresh{Refresh: &v.refresh}))
	v.keep(answered(r.StatusCode(), http.StatusOK, r.JSON200))
	l := must(v.AuthLogoutWithResponse(v, api.Refresh{Refresh: &v.refresh}))
	check(l.StatusCode() == http.StatusNoContent, l.Status())
	m := must(v.MeReadWithResponse(v, nil))
	refused := answered(m.StatusCode(), http.StatusUnauthorized, m.ApplicationproblemJSON401)
	check(refused.Code == "token_not_valid", refused)
}
