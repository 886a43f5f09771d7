package services

import (
	"testing"

	"dueto/models"
)

func TestPaginate_BeyondTheLastNumberedPageGoesOnByCursor(t *testing.T) {
	t.Parallel()
	c := NewCursors(fixedKeyring(t, KeyMaterial{Secrets: [][]byte{[]byte("7Qm2vXc9Lr4TzB8nKd1WfH6yJp3GsA5eUo0RiVtE")}}))
	const size = 1000
	full := func(p models.Page) ([]int64, error) {
		rows := make([]int64, p.Limit)
		for i := range rows {
			rows[i] = int64(p.Offset + i + 1)
		}
		return rows, nil
	}
	position := func(_ models.Order, n int64) []any { return []any{n} }
	for number, byCursor := range map[int]bool{1: false, MaxOffset/size - 1: false, MaxOffset / size: true} {
		items, info, err := paginate(c, PageRequest{Size: size, Number: number, List: "list"}, full, position)
		if err != nil || len(items) != size {
			t.Fatalf("page %d: %d items, %v", number, len(items), err)
		}
		if (info.Next != "") != byCursor || (info.NextPage == number+1) == byCursor {
			t.Errorf("page %d: %+v", number, info)
		}
		if byCursor {
			at, err := c.decode("list", info.Next)
			if err != nil || at.Values[0] != items[size-1] {
				t.Errorf("the cursor stands at %v, %v", at, err)
			}
		}
	}
}
