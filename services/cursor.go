package services

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"dueto/models"
)

// Cursors makes and reads the places in lists that clients hand back. They are
// signed: what is in one reaches a query.
type Cursors struct{ keys *Keyring }

const cursorMAC = 16

// NewCursors makes Cursors.
func NewCursors(keys *Keyring) *Cursors { return &Cursors{keys: keys} }

// place is a position in a list, and the direction to read from it.
type place struct {
	Backward bool  `json:"b,omitempty"`
	Values   []any `json:"v"`
}

// encode seals a place; list identifies the list, its order and filters.
func (c *Cursors) encode(list string, p place) (string, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encode cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(sealOf(c.keys.derived(purposeCursor)[0], list, body), body...)), nil
}

// decode opens a cursor that was made for the same list.
func (c *Cursors) decode(list, cursor string) (place, error) {
	refused := FieldError("The cursor is not valid.", "cursor",
		"Take it from the Link header of the same list, with the same ordering and filters.")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	// The decoder passes over line ends, which no cursor of ours has.
	if err != nil || strings.ContainsAny(cursor, "\r\n") || !c.sealed(list, raw) {
		return place{}, refused
	}
	var p place
	d := json.NewDecoder(bytes.NewReader(raw[cursorMAC:]))
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		return place{}, refused
	}
	for i, v := range p.Values {
		if n, ok := v.(json.Number); ok {
			if p.Values[i], err = n.Int64(); err != nil {
				return place{}, refused
			}
		}
	}
	return p, nil
}

// sealed reports whether any of the keys made the cursor for the list.
func (c *Cursors) sealed(list string, raw []byte) bool {
	if len(raw) < cursorMAC {
		return false
	}
	return c.keys.anyOf(purposeCursor, func(key []byte) bool {
		return hmac.Equal(raw[:cursorMAC], sealOf(key, list, raw[cursorMAC:]))
	})
}

func sealOf(key []byte, list string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%d\n%s\n", len(list), list)
	mac.Write(body)
	return mac.Sum(nil)[:cursorMAC]
}

// PageRequest says which part of a list is wanted.
type PageRequest struct {
	Order models.Order
	// Size is the greatest number of items.
	Size int
	// Number counts pages from 1; 0 asks for the start, by cursors.
	Number int
	// Cursor is one from an earlier PageInfo, or empty.
	Cursor string
	// Count asks for the total.
	Count bool
	// List identifies the resource, order and filters that a cursor is for.
	List string
}

// PageInfo says where a page's neighbours are; zero values mean there is none.
type PageInfo struct {
	Next, Prev         string // cursors
	NextPage, PrevPage int    // numbers, where the page was asked for by number
	Total              *int64
}

// MaxOffset bounds how many rows a page number may skip: they are read for
// nothing.
const MaxOffset = 1_000_000

// paginate reads a page and finds its neighbours, by asking for one item more
// than is wanted.
func paginate[T any](c *Cursors, req PageRequest, read func(models.Page) ([]T, error), position func(models.Order, T) []any) ([]T, PageInfo, error) {
	page := models.Page{Order: req.Order, Limit: req.Size + 1, Offset: max(0, req.Number-1) * req.Size}
	if req.Cursor != "" {
		at, err := c.decode(req.List, req.Cursor)
		if err != nil {
			return nil, PageInfo{}, err
		}
		page.Position, page.Backward = at.Values, at.Backward
	}
	items, err := read(page)
	if err != nil {
		return nil, PageInfo{}, err
	}
	more := len(items) > req.Size
	if more && page.Backward {
		items = items[1:]
	} else if more {
		items = items[:req.Size]
	}
	var info PageInfo
	if req.Number > 0 {
		info.PrevPage = req.Number - 1
		switch {
		case more && (req.Number+1)*req.Size > MaxOffset: // from here on by cursor
			info.Next, err = c.encode(req.List, place{Values: position(req.Order, items[len(items)-1])})
		case more:
			info.NextPage = req.Number + 1
		}
		return items, info, err
	}
	if len(items) == 0 {
		return items, info, nil
	}
	if more || page.Backward {
		if info.Next, err = c.encode(req.List, place{Values: position(req.Order, items[len(items)-1])}); err != nil {
			return nil, info, err
		}
	}
	if (page.Position != nil && !page.Backward) || (more && page.Backward) {
		info.Prev, err = c.encode(req.List, place{Backward: true, Values: position(req.Order, items[0])})
	}
	return items, info, err
}
