package handlers

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
	"dueto/models"
	"dueto/openapi"
	"dueto/services"
)

// UserHandler answers for /users.
type UserHandler struct {
	users   *services.UserService
	cookies middleware.Cookies
	links   Links
	// list and events are the parameters of the lists.
	list, events []Param
}

// NewUserHandler makes the handler.
func NewUserHandler(users *services.UserService, cookies middleware.Cookies, links Links, paging Paging) *UserHandler {
	return &UserHandler{users: users, cookies: cookies, links: links, list: userListQuery(paging), events: pageParams(paging)}
}

// createUserRequest is the body of POST /users.
type createUserRequest struct {
	Username    Opt[string]      `json:"username" validate:"required"`
	Email       Opt[string]      `json:"email" validate:"required"`
	Password    Opt[newPassword] `json:"password" validate:"required"`
	IsActive    Opt[bool]        `json:"is_active"`
	IsStaff     Opt[bool]        `json:"is_staff"`
	Permissions Opt[[]string]    `json:"permissions" validate:"max=50"`
	TimeZone    Opt[string]      `json:"time_zone"`
}

func (r *createUserRequest) input() services.NewAccount {
	return services.NewAccount{
		Username: r.Username.Value, Email: r.Email.Value, Password: string(r.Password.Value),
		Active: r.IsActive.Value || !r.IsActive.Set, Staff: r.IsStaff.Value,
		Permissions: r.Permissions.Value, TimeZone: r.TimeZone.Value,
	}
}

// updateUserRequest is the body of PATCH /users/{id}.
type updateUserRequest struct {
	Username    Opt[string]   `json:"username"`
	Email       Opt[string]   `json:"email"`
	TimeZone    Opt[string]   `json:"time_zone"`
	IsActive    Opt[bool]     `json:"is_active"`
	IsStaff     Opt[bool]     `json:"is_staff"`
	Permissions Opt[[]string] `json:"permissions" validate:"max=50"`
	// PendingEmail can be taken back, by null; otherwise it is read only.
	PendingEmail Opt[string] `json:"pending_email" nullable:"true" doc:"The next address, until it is confirmed. Null takes the wish back; anything else is ignored."`
}

func (r *updateUserRequest) patch() services.UserPatch {
	return services.UserPatch{
		Username: r.Username.change(), Email: r.Email.change(), TimeZone: r.TimeZone.change(),
		Active: r.IsActive.change(), Staff: r.IsStaff.change(), Permissions: r.Permissions.change(),
		WithdrawEmail: r.PendingEmail.Null,
	}
}

// deleteUserRequest is the body of DELETE /users/{id}.
type deleteUserRequest struct {
	Password Opt[string] `json:"password" format:"password" doc:"One's own, which is needed to delete oneself."`
}

// userView is an account in an answer, and the public URL that its own is made from.
type userView struct {
	services.UserView
	base string
	// confirmation is the link that a new account gets where there is no mail.
	confirmation string
}

// publicUserMembers are what anybody sees.
var publicUserMembers = keyed([]member[userView]{
	{name: "id", schema: idSchema("The number of the account."), append: func(b []byte, u *userView) []byte { return strconv.AppendInt(b, u.User.ID, 10) }},
	{name: "url", schema: urlSchema("Where the account is."), append: func(b []byte, u *userView) []byte {
		return appendString(b, u.base+"/users/"+strconv.FormatInt(u.User.ID, 10))
	}},
	{name: "username", schema: usernameSchema, append: func(b []byte, u *userView) []byte { return appendString(b, u.User.Username) }},
	{name: "date_joined", schema: timeSchema("When it was made."), append: func(b []byte, u *userView) []byte { return appendMoment(b, momentOf(u.User.DateJoined)) }},
	{name: "task_count", schema: integerSchema("How many tasks for the account one may read."), append: func(b []byte, u *userView) []byte { return strconv.AppendInt(b, u.Tasks.Count, 10) }},
	{name: "tasks", schema: listSchema(idSchema(""), "The numbers of the newest of them, at most 100."), append: func(b []byte, u *userView) []byte { return appendIDs(b, u.Tasks.Newest) }},
	{name: "tasks_url", schema: urlSchema("The list of them all."), append: func(b []byte, u *userView) []byte {
		return appendString(b, u.base+"/tasks?person="+strconv.FormatInt(u.User.ID, 10))
	}},
})

// userMembers are what oneself and the staff see.
var userMembers = append(publicUserMembers[:len(publicUserMembers):len(publicUserMembers)], keyed([]member[userView]{
	{name: "email", schema: addressSchema("The e-mail address. One's own changes once the new one is confirmed."), append: func(b []byte, u *userView) []byte { return appendString(b, u.User.Email) }},
	{name: "pending_email", schema: nullable(formatted("idn-email", "The next address, until it is confirmed.")), append: func(b []byte, u *userView) []byte { return appendNonEmpty(b, u.User.PendingEmail) }},
	{name: "is_active", schema: withDefault(true, described("Whether it is confirmed and not deactivated. Staff change it.")), append: func(b []byte, u *userView) []byte { return strconv.AppendBool(b, u.User.Active()) }},
	{name: "is_staff", schema: withDefault(false, described("Whether it may do everything. Staff change it.")), append: func(b []byte, u *userView) []byte { return strconv.AppendBool(b, u.User.IsStaff) }},
	{name: "permissions", schema: withDefault([]string{}, listSchema(permissionSchema(), "What it may do beyond owning. Staff change it.")), append: func(b []byte, u *userView) []byte { return append(b, u.User.Permissions...) }},
	{name: "last_login", schema: nullable(timeSchema("When somebody signed in last.")), append: func(b []byte, u *userView) []byte { return appendMoment(b, moment(u.User.LastLogin)) }},
	{name: "time_zone", schema: withDefault("UTC", described("A time zone of the IANA database, such as `Europe/Berlin`.")), append: func(b []byte, u *userView) []byte { return appendString(b, u.User.TimeZone) }},
})...)

// registeredMembers are what registering answers where there is no mail.
var registeredMembers = append(userMembers[:len(userMembers):len(userMembers)],
	keyed([]member[userView]{
		{name: "confirmation_url", schema: urlSchema("The link that confirms the account, where the server sends no mail."), append: func(b []byte, u *userView) []byte { return appendString(b, u.confirmation) }},
	})...)

var userMemberNames = memberNames(userMembers)

// privateMembers are those that not everybody sees.
var privateMembers = memberNames(userMembers[len(publicUserMembers):])

// permissionSchema is a word of those that accounts and API tokens are given.
func permissionSchema() *openapi.Schema {
	s := choiceSchema("A word for what may be done.", services.Permissions()...)
	s.Title = "Permission"
	return s
}

// usernameSchema is a name as it is kept.
var usernameSchema = &openapi.Schema{
	Type: openapi.Types{openapi.String}, Pattern: services.UsernamePattern, MinLength: new(int64(services.MinUsername)), MaxLength: new(int64(services.MaxUsername)),
	Description: "The name, of English letters, digits and `@`, `.`, `+`, `-`, `_`, unlike any other in more than case. White space around it is cut.",
}

var userSchema = resourceSchema[createUserRequest]("User", "An account. The address and what follows it are for oneself, staff and those with `users.view`.", userMembers, privateMembers...)

// What can be asked of accounts.
var (
	UsersCreate = Operation{
		Text:    "For staff, and for those with `users.add` as long as it is not staff and is granted nothing.",
		Body:    requestSchema[createUserRequest]("NewUser", "An account to make.", schemas(userMembers)...),
		Answers: []Answer{created("The new account.", userSchema, headerLocation, headerETag)},
	}
	UsersRead = Operation{
		Text:    "One that is not active is not found, but for staff and those with `users.view`.",
		Answers: []Answer{ok("The account, as one may see it.", userSchema, headerETag), unchanged()},
	}
	MeRead      = Operation{Answers: UsersRead.Answers}
	UsersUpdate = Operation{
		Text:    "One's own `username`, `time_zone` and `email`; of others, for staff, and those with `users.change` but for `is_staff` and `permissions`. A new address of one's own waits until its link is followed.",
		Body:    patchSchema[updateUserRequest]("UserChange", "What to change of an account: what is absent stays.", schemas(userMembers)...),
		Guarded: true,
		Fails:   []services.Code{services.CodeConflict},
		Answers: []Answer{ok("The account as it is now.", userSchema, headerETag)},
	}
)

// UsersDelete describes DELETE /users/{id} of a server with some modes.
func UsersDelete(modes Modes) Operation {
	return Operation{
		Text:     "One's own takes the password. Staff, and those with `users.delete`, delete others. " + deletedToo,
		Query:    userDeleteQuery,
		Body:     requestSchema[deleteUserRequest]("UserDeletion", "Who deletes oneself."),
		Optional: true,
		Guarded:  true,
		Fails:    []services.Code{services.CodeConflict},
		Answers:  []Answer{done(modes.andCookies("It is gone.", "Cookies that it was signed in by are taken away."), modes.headers()...)},
	}
}

// MeDelete describes DELETE /users/me, likewise.
func MeDelete(modes Modes) Operation {
	does := UsersDelete(modes)
	does.Text, does.Optional = deletedToo, false
	does.Body = allRequired("OwnDeletion", "The password, to delete oneself.", does.Body)
	return does
}

// deletedToo says what goes with an account.
const deletedToo = "Its sessions and API tokens go with it; tasks that it made for others stay."

var userDeleteQuery = []Param{choiceParam("tasks", "What becomes of the tasks that are for it: they are kept, for nobody, or deleted too.", "keep", "delete")}

// searchSchema is 1 to 10 words, in 100 characters.
func searchSchema() *openapi.Schema {
	s := within(1, services.MaxSearchChars, textSchema(""))
	s.Pattern = `^\s*\S+(\s+\S+){0,9}\s*$`
	return s
}

// UsersList describes GET /users with some lengths of pages.
func UsersList(paging Paging) Operation {
	return Operation{
		Text:  "Those that are active; staff and those with `users.view` see all, and may ask for their state.",
		Query: userListQuery(paging),
		Fails: []services.Code{services.CodeNotAuthenticated},
		Answers: []Answer{ok("A page of the accounts.", listSchema(
			partsOf("UserInList", "An account in a list: all its members, or those that `fields` names.", userSchema), ""), headerLink, headerTotal)},
	}
}

func userListQuery(paging Paging) []Param {
	return listParams(paging, models.UserSortKeys(), userMemberNames,
		boolParam("is_active", "Active, or not. For staff and those with `users.view`."),
		boolParam("is_staff", "Staff, or not. For the same."),
		boolParam("never_activated", "Never confirmed, or not. For the same."),
		Param{"search", "Up to 10 words, each of them in the name; for those who see addresses, in the name or the address.", searchSchema()},
	)
}

func membersFor(u *userView) []member[userView] {
	if u.Private {
		return userMembers
	}
	return publicUserMembers
}

func (h *UserHandler) send(c *gin.Context, status int, v services.UserView) error {
	u := userView{UserView: v, base: h.links.base}
	return sendObject(c, status, u, membersFor(&u))
}

// userID takes the id from the path; the route without one is one's own.
func userID(c *gin.Context) (int64, error) {
	if _, ok := c.Params.Get("id"); !ok {
		return middleware.Actor(c).UserID, nil
	}
	return pathID(c)
}

// Create answers POST /users.
func (h *UserHandler) Create(c *gin.Context) error {
	var req createUserRequest
	rules := func() error { return h.users.CheckNew(req.input()) }
	if err := bind(c, &req, body{message: "The user is not valid.", readOnly: userMemberNames, rules: rules}); err != nil {
		return err
	}
	view, err := h.users.Create(c.Request.Context(), middleware.Actor(c), req.input())
	if err != nil {
		return err
	}
	c.Header("Location", h.links.To("/users/"+strconv.FormatInt(view.User.ID, 10)))
	setETag(c, view.Version())
	return h.send(c, http.StatusCreated, view)
}

// Get answers GET /users/{id} and /users/me.
func (h *UserHandler) Get(c *gin.Context) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	view, err := h.users.Get(c.Request.Context(), middleware.Actor(c), id)
	if err != nil {
		return err
	}
	if notModified(c, view.Version()) {
		return nil
	}
	return h.send(c, http.StatusOK, view)
}

// Patch answers PATCH /users/{id} and /users/me.
func (h *UserHandler) Patch(c *gin.Context) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	var req updateUserRequest
	rules := func() error { return req.patch().Check() }
	if err := bind(c, &req, body{message: "The user is not valid.", readOnly: userMemberNames, partial: true, rules: rules}); err != nil {
		return err
	}
	view, err := h.users.Update(c.Request.Context(), middleware.Actor(c), id, req.patch(), expected(c))
	if err != nil {
		return err
	}
	setETag(c, view.Version())
	return h.send(c, http.StatusOK, view)
}

// Delete answers DELETE /users/{id} and /users/me.
func (h *UserHandler) Delete(c *gin.Context) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	var req deleteUserRequest
	if err := bind(c, &req, body{message: "The account was not deleted.", optional: true}); err != nil {
		return err
	}
	q := newQuery(c, userDeleteQuery)
	in := services.DeleteUser{Password: req.Password.Value, WithTasks: q.choice("tasks") == "delete"}
	if err := q.err(); err != nil {
		return err
	}
	actor := middleware.Actor(c)
	if err := h.users.Delete(c.Request.Context(), actor, id, in, expected(c)); err != nil {
		return err
	}
	if id == actor.UserID {
		h.cookies.ClearSent(c)
	}
	return noContent(c)
}

// List answers GET /users.
func (h *UserHandler) List(c *gin.Context) error {
	q := newQuery(c, h.list)
	filter := userFilter(q)
	page := q.page("/users", models.UserSortKeys())
	picked := pick(q, userMembers)
	if err := q.err(); err != nil {
		return err
	}
	views, info, err := h.users.List(c.Request.Context(), middleware.Actor(c), filter, page)
	if err != nil {
		return err
	}
	setPageHeaders(c, q, h.links.To("/users"), info)
	view := func(v *services.UserView) userView { return userView{UserView: *v, base: h.links.base} }
	public := publicOnly(picked)
	return sendList(c, views, view, func(u *userView) []member[userView] {
		if u.Private {
			return picked
		}
		return public
	})
}

func userFilter(q *query) services.UserQuery {
	f := services.UserQuery{Active: q.bool("is_active"), Staff: q.bool("is_staff"), NeverActivated: q.bool("never_activated")}
	if text, _, ok := q.text("search"); ok {
		var complaint string
		if f.Search, complaint = services.SearchWords(text); complaint != "" {
			q.fields.Add("search", complaint)
		}
	}
	return f
}

// publicOnly leaves out the members that not everybody is shown.
func publicOnly(picked []member[userView]) (list []member[userView]) {
	for _, m := range picked {
		if slices.ContainsFunc(publicUserMembers, func(public member[userView]) bool { return public.name == m.name }) {
			list = append(list, m)
		}
	}
	return list
}
