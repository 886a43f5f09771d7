package services

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"dueto/models"
)

// UserQuery narrows a list of accounts; a nil field does not.
type UserQuery struct {
	Active         *bool
	Staff          *bool
	NeverActivated *bool
	// Search lists what SearchWords gives.
	Search []string
}

// ofState reports whether it asks for what only those see who may see private
// fields.
func (q UserQuery) ofState() bool {
	return q.Active != nil || q.Staff != nil || q.NeverActivated != nil
}

func (q UserQuery) filter(scope models.UserScope) models.UserFilter {
	return models.UserFilter{Scope: scope, Active: q.Active, Staff: q.Staff, NeverActivated: q.NeverActivated, Search: q.Search}
}

// MaxSearchChars is how long a search may be, which reads every account that is
// in scope.
const MaxSearchChars = 100

const maxSearchWords = 10

// SearchWords gives the words of a search for accounts, in the form in which
// names and addresses are kept, or says what is wrong with it.
func SearchWords(text string) (words []string, complaint string) {
	if utf8.RuneCountInString(text) > MaxSearchChars {
		return nil, "Ensure this field has no more than " + strconv.Itoa(MaxSearchChars) + " characters."
	}
	words = strings.Fields(usernameKey(text))
	switch {
	case len(words) == 0:
		return nil, "This field may not be blank."
	case len(words) > maxSearchWords:
		return nil, "Ensure this field has no more than 10 words."
	}
	for i, word := range words {
		if key, ok := canonicalEmail(word); ok { // the domain in its ASCII form
			words[i] = key
		}
	}
	return words, ""
}

// List gives a page of the accounts that the actor can see. Anybody may call
// it; to ask for the state of accounts, or find them by their address, takes
// users.view. It fails with CodeNotAuthenticated, CodePermissionDenied, or
// CodeInvalid on a cursor that is not one of this list's.
func (s *UserService) List(ctx context.Context, actor Actor, q UserQuery, page PageRequest) ([]UserView, PageInfo, error) {
	if q.ofState() && !actor.Authenticated() {
		return nil, PageInfo{}, ErrNotAuthenticated
	}
	if q.ofState() && !actor.May(PermViewUsers) {
		return nil, PageInfo{}, ErrPermissionDenied
	}
	db := reading(ctx, s.store, actor)
	filter := q.filter(userScope(actor))
	users, info, err := paginate(s.cursors, page, func(p models.Page) ([]models.User, error) {
		return models.ListUsers(db, filter, p)
	}, models.UserPosition)
	if err != nil {
		return nil, info, err
	}
	if page.Count {
		info.Total = new(int64)
		if *info.Total, err = models.CountUsers(db, filter); err != nil {
			return nil, info, err
		}
	}
	views, err := s.views(db, actor, users)
	return views, info, err
}

// findAtOnce is how many accounts Find reads with one query.
const findAtOnce = 1000

// Find gives all the accounts that match, by id. It is for the command line.
func (s *AccountService) Find(ctx context.Context, q UserQuery) ([]models.User, error) {
	var found []models.User
	page := models.Page{Limit: findAtOnce}
	for {
		users, err := models.ListUsers(s.store.Read(ctx), q.filter(models.UserScope{All: true}), page)
		found = append(found, users...)
		if err != nil || len(users) < page.Limit {
			return found, err
		}
		page.Position = models.UserPosition(page.Order, users[len(users)-1])
	}
}
