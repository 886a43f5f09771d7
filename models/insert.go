package models

// insert runs an INSERT of one row and gives the id that the row got. It is for
// the tables that rows are added to most: gorm's reflection costs as much again
// as the statement.
func insert(tx DB, query string, args ...any) (id int64, err error) {
	if _, sqlite := tx.base.Statement.ConnPool.(*transaction); sqlite {
		// RETURNING makes SQLite keep what the statement changes, to give the row
		// only once it is whole, and triples what a task costs.
		res, err := tx.base.Statement.ConnPool.ExecContext(tx.ctx, query, args...)
		if err != nil {
			return 0, translate(err)
		}
		return res.LastInsertId()
	}
	err = few(tx, func(rows row) error { return rows.Scan(&id) }, query+" RETURNING id", args...)
	return id, err
}
