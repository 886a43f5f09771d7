-- What stands for a missing due date in the descending order becomes a number
-- that every engine reads as an integer: the smallest one, written with its
-- sign, is read as the negative of one that is too large.
DROP INDEX tasks_by_due_desc;
CREATE INDEX tasks_by_due_desc ON tasks (coalesce(due_to, -9223372036854775807) DESC, id);
