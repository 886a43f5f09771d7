package services

import (
	"context"
	"errors"

	"dueto/models"
)

// ListEvents gives a page of what happened to an account, newest first: logins,
// failed ones, and changes to what guards it. Oneself, staff and those with
// users.view may call it. It fails with CodeNotFound, CodePermissionDenied, or
// CodeInvalid on a cursor that is not one of this list's.
func (s *UserService) ListEvents(ctx context.Context, actor Actor, id int64, page PageRequest) ([]models.SecurityEvent, PageInfo, error) {
	s.events.deferred.settle(ctx)
	db := s.store.Read(ctx)
	user, err := models.UserByID(db, id)
	switch {
	case errors.Is(err, models.ErrNotFound) || (err == nil && !canSeeUser(actor, user)):
		return nil, PageInfo{}, ErrNotFound
	case err != nil:
		return nil, PageInfo{}, err
	case !canSeePrivateFields(actor, user):
		return nil, PageInfo{}, ErrPermissionDenied
	}
	page.Order = models.Order{{Name: "id", Desc: true}}
	list, info, err := paginate(s.cursors, page, func(p models.Page) ([]models.SecurityEvent, error) {
		return models.ListEvents(db, id, p)
	}, models.EventPosition)
	for i, e := range list {
		if e.ByID.Valid && e.ByID.Int64 != actor.UserID && !actor.Staff { // where staff sit is their business
			list[i].Address, list[i].RequestID = "", ""
		}
	}
	return list, info, err
}
