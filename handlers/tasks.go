package handlers

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
	"dueto/models"
	"dueto/openapi"
	"dueto/services"
)

// TaskHandler answers for /tasks.
type TaskHandler struct {
	tasks *services.TaskService
	links Links
	list  []Param // the parameters of the list
}

// NewTaskHandler makes the handler.
func NewTaskHandler(tasks *services.TaskService, links Links, paging Paging) *TaskHandler {
	return &TaskHandler{tasks: tasks, links: links, list: taskListQuery(paging)}
}

// taskRequest is the body of POST, PUT and PATCH.
type taskRequest struct {
	Title       Opt[trimmed]   `json:"title" validate:"required,min=1,max=100"`
	Description Opt[string]    `json:"description" validate:"max=10000"`
	DueTo       Opt[timestamp] `json:"due_to" nullable:"true"`
	Done        Opt[bool]      `json:"done"`
	Priority    Opt[int64]     `json:"priority" validate:"min=0,max=4"`
	Tags        Opt[[]trimmed] `json:"tags" validate:"max=20,dive,min=1,max=50"`
	Visibility  Opt[string]    `json:"visibility" validate:"oneof=public private"`
	Person      Opt[int64]     `json:"person" validate:"min=1" nullable:"true"`
}

// patch changes what is there and leaves the rest.
func (r *taskRequest) patch() services.TaskPatch {
	return services.TaskPatch{
		Title:       services.Change[string]{Set: r.Title.Set, To: string(r.Title.Value)},
		Description: r.Description.change(),
		DueTo:       timeChange(r.DueTo),
		Done:        r.Done.change(),
		Priority:    r.Priority.change(),
		Tags:        services.Change[[]string]{Set: r.Tags.Set, To: texts(r.Tags.Value)},
		Private:     services.Change[bool]{Set: r.Visibility.Set, To: r.Visibility.Value == "private"},
		Person:      r.Person.changeNullable(),
	}
}

// replacement gives what is absent its default, but for the person and the
// visibility: those stay.
func (r *taskRequest) replacement() services.TaskPatch {
	p := r.patch()
	p.Description.Set, p.DueTo.Set, p.Done.Set, p.Priority.Set, p.Tags.Set = true, true, true, true, true
	return p
}

func bindTask(c *gin.Context, partial bool, rules func(*taskRequest) error) (*taskRequest, error) {
	var req taskRequest
	b := body{message: "The task is not valid.", readOnly: taskMemberNames, partial: partial}
	if rules != nil {
		b.rules = func() error { return rules(&req) }
	}
	return &req, bind(c, &req, b)
}

// taskView is a task in an answer: the stored row, and the public URL that its
// own is made from.
type taskView struct {
	*models.Task
	base string
}

var taskMembers = keyed([]member[taskView]{
	{name: "id", schema: idSchema("The number of the task."), append: func(b []byte, t *taskView) []byte { return strconv.AppendInt(b, t.ID, 10) }},
	{name: "url", schema: urlSchema("Where the task is."), append: func(b []byte, t *taskView) []byte {
		b = append(append(append(b, '"'), t.base...), "/tasks/"...)
		return append(strconv.AppendInt(b, t.ID, 10), '"')
	}},
	{name: "title", schema: described("What is to be done. White space around it is cut."), append: func(b []byte, t *taskView) []byte { return appendString(b, t.Title) }},
	{name: "description", schema: withDefault("", described("Whatever else there is to say.")), append: func(b []byte, t *taskView) []byte { return appendString(b, t.Description) }},
	{name: "due_to", schema: described("By when; null, the default, is never."), append: func(b []byte, t *taskView) []byte { return appendMoment(b, moment(t.DueTo)) }},
	{name: "done", schema: withDefault(false, described("Whether it is done.")), append: func(b []byte, t *taskView) []byte { return strconv.AppendBool(b, t.Done) }},
	{name: "done_at", schema: nullable(timeSchema("When it was done.")), append: func(b []byte, t *taskView) []byte { return appendMoment(b, moment(t.DoneAt)) }},
	{name: "priority", schema: withDefault(0, described("From 0, none, to 4, urgent.")), append: func(b []byte, t *taskView) []byte { return strconv.AppendInt(b, t.Priority, 10) }},
	{name: "tags", schema: withDefault([]string{}, described("Words to find it by, each once. White space around them is cut.")), append: func(b []byte, t *taskView) []byte { return append(b, t.Tags...) }},
	{name: "visibility", schema: visibilitySchema, append: func(b []byte, t *taskView) []byte { return appendString(b, visibility(t.Private)) }},
	{name: "person", schema: described("The number of the account that it is for: an active one, and one's own where there is none in a new task."), append: func(b []byte, t *taskView) []byte { return appendReference(b, reference(t.PersonID)) }},
	{name: "created_by", schema: nullable(idSchema("The number of the account that made it; null once that is deleted.")), append: func(b []byte, t *taskView) []byte { return appendReference(b, reference(t.CreatedBy)) }},
	{name: "created_at", schema: timeSchema("When it was made."), append: func(b []byte, t *taskView) []byte { return appendMoment(b, momentOf(t.CreatedAt)) }},
	{name: "updated_at", schema: timeSchema("When it was changed last."), append: func(b []byte, t *taskView) []byte { return appendMoment(b, momentOf(t.UpdatedAt)) }},
})

var taskMemberNames = memberNames(taskMembers)

var (
	taskSchema = resourceSchema[taskRequest]("Task", "A task.", taskMembers)
	newTask    = requestSchema[taskRequest]("NewTask", "A task to make, or to put in the place of one.", schemas(taskMembers)...)
	taskChange = patchSchema[taskRequest]("TaskChange", "What to change of a task: what is absent stays.", schemas(taskMembers)...)
)

// What can be asked of tasks.
var (
	TasksCreate = Operation{
		Text:    "It is for oneself where `person` is absent, and for nobody where that is null. Who may read it is a setting of the server where `visibility` is absent.",
		Body:    newTask,
		Answers: []Answer{created("The new task.", taskSchema, headerLocation, headerETag)},
	}
	TasksRead = Operation{
		Text:    "A private task is not found, but for those whom it is for or by, and staff.",
		Answers: []Answer{ok("The task.", taskSchema, headerETag), unchanged()},
	}
	TasksReplace = Operation{
		Text:    "What is absent takes its default, but for `person` and `visibility`, which stay.",
		Body:    newTask,
		Guarded: true,
		Answers: []Answer{ok("The task as it is now.", taskSchema, headerETag)},
	}
	TasksUpdate = Operation{
		Text:    "What is absent stays; null clears what can be null.",
		Body:    taskChange,
		Guarded: true,
		Answers: []Answer{ok("The task as it is now.", taskSchema, headerETag)},
	}
	TasksDelete = Operation{
		Text:    "For those whom it is for or by, staff, and those with `tasks.delete`.",
		Guarded: true,
		Answers: []Answer{done("It is gone.")},
	}
)

// TasksList describes GET /tasks with some lengths of pages.
func TasksList(paging Paging) Operation {
	return Operation{
		Text:  "Those that one may read: public ones, and those for or by oneself.",
		Query: taskListQuery(paging),
		Answers: []Answer{ok("A page of the tasks.", listSchema(
			partsOf("TaskInList", "A task in a list: all its members, or those that `fields` names.", taskSchema), ""), headerLink, headerTotal)},
	}
}

// visibilitySchema is the visibility of a task.
var visibilitySchema = &openapi.Schema{
	Title: "Visibility", Description: "Who may read it: all, or those whom it is for or by.",
	Type: openapi.Types{openapi.String}, Enum: []any{"public", "private"},
}

func taskListQuery(paging Paging) []Param {
	return listParams(paging, models.TaskSortKeys(), taskMemberNames,
		idParam("person", "For the account of this number."),
		idParam("created_by", "By the account of this number."),
		boolParam("done", "Done, or not."),
		memberParam("priority", "Of this priority.", taskSchema, "priority"),
		memberParam("priority_min", "Of this priority or a higher one.", taskSchema, "priority"),
		memberParam("visibility", "Of this visibility.", taskSchema, "visibility"),
		timeParam("due_before", "Due before then."),
		timeParam("due_after", "Due then or later."),
		boolParam("overdue", "Not done, and due before now; or the others."),
		timeParam("updated_since", "Changed then or later."),
	)
}

func visibility(private bool) string {
	if private {
		return "private"
	}
	return "public"
}

func (h *TaskHandler) send(c *gin.Context, status int, t models.Task) error {
	return sendObject(c, status, taskView{&t, h.links.base}, taskMembers)
}

// Create answers POST /tasks.
func (h *TaskHandler) Create(c *gin.Context) error {
	ctx := c.Request.Context()
	req, err := bindTask(c, false, func(r *taskRequest) error { return h.tasks.CheckNew(ctx, r.patch()) })
	if err != nil {
		return err
	}
	task, err := h.tasks.Create(ctx, middleware.Actor(c), req.patch())
	if err != nil {
		return err
	}
	c.Header("Location", h.links.To("/tasks/"+strconv.FormatInt(task.ID, 10)))
	setETag(c, services.TaskVersion(task))
	return h.send(c, http.StatusCreated, task)
}

// Get answers GET /tasks/{id}.
func (h *TaskHandler) Get(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	task, err := h.tasks.Get(c.Request.Context(), middleware.Actor(c), id)
	if err != nil {
		return err
	}
	if notModified(c, services.TaskVersion(task)) {
		return nil
	}
	return h.send(c, http.StatusOK, task)
}

// Replace answers PUT /tasks/{id}.
func (h *TaskHandler) Replace(c *gin.Context) error {
	return h.update(c, false, (*taskRequest).replacement)
}

// Patch answers PATCH /tasks/{id}.
func (h *TaskHandler) Patch(c *gin.Context) error {
	return h.update(c, true, (*taskRequest).patch)
}

func (h *TaskHandler) update(c *gin.Context, partial bool, convert func(*taskRequest) services.TaskPatch) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	req, err := bindTask(c, partial, nil)
	if err != nil {
		return err
	}
	task, err := h.tasks.Update(c.Request.Context(), middleware.Actor(c), id, convert(req), expected(c))
	if err != nil {
		return err
	}
	setETag(c, services.TaskVersion(task))
	return h.send(c, http.StatusOK, task)
}

// Delete answers DELETE /tasks/{id}.
func (h *TaskHandler) Delete(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := h.tasks.Delete(c.Request.Context(), middleware.Actor(c), id, expected(c)); err != nil {
		return err
	}
	return noContent(c)
}

// List answers GET /tasks.
func (h *TaskHandler) List(c *gin.Context) error {
	q := newQuery(c, h.list)
	filter := taskFilter(q)
	page := q.page("/tasks", models.TaskSortKeys())
	members := pick(q, taskMembers)
	if err := q.err(); err != nil {
		return err
	}
	tasks, info, err := h.tasks.List(c.Request.Context(), middleware.Actor(c), filter, page)
	if err != nil {
		return err
	}
	setPageHeaders(c, q, h.links.To("/tasks"), info)
	view := func(t *models.Task) taskView { return taskView{t, h.links.base} }
	return sendList(c, tasks, view, func(*taskView) []member[taskView] { return members })
}

func taskFilter(q *query) services.TaskQuery {
	f := services.TaskQuery{
		Person: q.number("person"), CreatedBy: q.number("created_by"), Done: q.bool("done"), Overdue: q.bool("overdue"),
		Priority: q.number("priority"), PriorityMin: q.number("priority_min"),
	}
	if v := q.choice("visibility"); v != "" {
		f.Private = new(v == "private")
	}
	if t := q.time("due_before"); t != nil {
		f.DueBefore = &t.Time
	}
	if t := q.time("due_after"); t != nil {
		f.DueAfter = &t.Time
	}
	if t := q.time("updated_since"); t != nil {
		f.UpdatedSince = &t.Time
	}
	return f
}
