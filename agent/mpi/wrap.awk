# SPDX-License-Identifier: BSD-3-Clause
# wrap.awk - makes the wrappers of libc4mpi.so from calls.tbl (which explains its columns).
#
# Each wrapper is: find the real function, PRE, real call, POST. PRE and POST are written once per
# kind of call, below, in terms of the arguments' names; "%L" becomes c or f. A Fortran wrapper first
# makes variables of those names from what it was given, so the same text serves both languages.
# Fortran 77 (mpi_x_, mpi_x__) and 2008 (mpi_x_f08_, where ierror may be absent) share one body.

BEGIN {
	FS = "|"
	c_types()
	f_types()
}

/^#/ || /^[ \t]*$/ { next }

$1 ~ /^arg / {
	k = split($1, w, " ")
	for (i = 3; i <= k; i++)
		class[w[i]] = w[2]
	next
}

{
	for (i = 1; i <= NF; i++)
		gsub(/^[ \t]+|[ \t]+$/, "", $i)
	if ($1 == "coll")
		collective()
	else
		call($1, "MPI_" $2, $3)
}

END {
	head()
	for (f = 1; f <= ncalls; f++) {
		templates(f)
		c_wrapper(f)
		if (kind[f] != "spawn")
			f_wrapper(f)
	}
}

# ---- the calls -------------------------------------------------------------------------------

function call(k, name, a, i)
{
	ncalls++
	kind[ncalls] = k
	cname[ncalls] = name
	args[ncalls] = a
	for (i = 4; i <= 7; i++)
		col[ncalls, i] = $i
}

# A collective has four forms.
function collective()
{
	call("coll", "MPI_" $2, $3)
	call("icoll", "MPI_I" tolower(substr($2, 1, 1)) substr($2, 2), $3 " request")
	call("pcoll", "MPI_" $2 "_init", $3 " info request")
	call("pcoll", "MPIX_" $2 "_init", $3 " info request")
}

function has(f, arg, n, w, i)
{
	n = split(args[f], w, " ")
	for (i = 1; i <= n; i++)
		if (w[i] == arg)
			return 1
	return 0
}

# ---- what a kind of call does ----------------------------------------------------------------

function templates(f, k)
{
	k = kind[f]
	decl = "\tstruct c4_call call;\n"
	pre = post = ""
	if (k ~ /coll$/)
		coll_templates(f, k)
	else if (k ~ /^(create|spawn|group|idup|free|name)$/)
		comm_templates(k)
	else if (k ~ /^(send|recv|both|self|probe|iprobe|mrecv)$/)
		message_templates(k)
	else if (k ~ /^(isend|psend|irecv|precv|imrecv)$/)
		posted_message_templates(k)
	else if (k ~ /^(wait|test|keep|start|drop)$/)
		request_templates(f, k)
	else if (k ~ /^(init|finalize)$/) {
		pre = "\tc4_" k "_enter(&call);\n"
		post = on("call", "c4_" k "_leave(&call" (k == "init" ? ", rc" : "") ");")
	} else if (k == "abort") {
		decl = ""
		pre = "\tc4_abort_enter(errorcode);\n"
	} else {
		print "calls.tbl: unknown kind " k > "/dev/stderr"
		exit 1
	}
}

function on(var, text)
{
	return "\tif (" var ".self)\n\t\t" text "\n"
}

function op_args(op)
{
	return "\tstruct c4_op_args args = {.kind = C4_OP_" op ", .root = -1};\n"
}

function coll_templates(f, k)
{
	decl = decl op_args(col[f, 4])
	pre = "\tif (c4_open_on(&call, comm)) {\n"
	pre = pre "\t\tif (c4_comparable(&call)) {\n" size_of_op(col[f, 5], col[f, 6])
	if (has(f, "root"))
		pre = pre "\t\t\targs.root = root;\n"
	if (has(f, "op"))
		pre = pre "\t\t\targs.redop = c4_redop_code(op);\n"
	pre = pre "\t\t}\n"
	if (k == "coll") {
		pre = pre "\t\tc4_op_set(&call, args);\n\t\tc4_coll_enter(&call, args.kind);\n"
		post = on("call", "c4_coll_leave(&call, rc != MPI_SUCCESS);")
	} else if (k == "icoll") {
		pre = pre "\t\tc4_op_set(&call, args);\n\t\tc4_post(&call);\n"
		post = on("call", "c4_posted(&call, rc ? 0 : c4_request_key_%L(request), NULL, 0);")
	} else {
		post = on("call", "c4_prepared(&call, rc, c4_request_key_%L(request), args);")
	}
	pre = pre "\t}\n"
}

# Bytes and datatype; with one look-up where the bytes are so many elements of that type.
function size_of_op(bytes, type, elements)
{
	elements = bytes
	if (sub("^c4_bytes\\(", "", elements) && sub(", " type "\\)$", "", elements))
		return "\t\t\tc4_elements(&args, " elements ", " type ");\n"
	bytes = "\t\t\targs.bytes = " bytes ";\n"
	return type == "-" ? bytes : bytes "\t\t\targs.dtype = c4_type_code(" type ");\n"
}

function comm_templates(k)
{
	if (k == "create" || k == "spawn") {
		pre = "\tif (c4_open_maker(&call, comm))" creation("c4_coll_enter(&call, C4_OP_COMM_CREATE);")
		post = "\tif (call.self) {\n\t\tc4_coll_leave(&call, rc != MPI_SUCCESS);\n"
		post = post "\t\tif (rc == MPI_SUCCESS)\n\t\t\tc4_created_%L(newcomm);\n\t}\n"
	} else if (k == "group") {
		pre = "\tif (c4_call_open(&call))\n\t\tc4_other_enter(&call, C4_OP_COMM_CREATE);\n"
		post = "\tif (call.self) {\n\t\tc4_other_leave(&call);\n"
		post = post "\t\tif (rc == MPI_SUCCESS)\n\t\t\tc4_created_%L(newcomm);\n\t}\n"
	} else if (k == "idup") {
		pre = "\tif (c4_open_maker(&call, comm))" creation("c4_post(&call);")
		post = on("call", "c4_posted(&call, rc ? 0 : c4_request_key_%L(request), newcomm, C4_NEWCOMM_%L);")
	} else if (k == "free") {
		decl = decl "\tstruct c4_freeing freeing;\n"
		pre = "\tif (c4_call_open(&call)) {\n\t\tfreeing = c4_freeing(&call, c4_comm_%L(pcomm));\n"
		pre = pre "\t\tc4_op_set(&call, c4_creation);\n"
		pre = pre "\t\tc4_coll_enter(&call, C4_OP_COMM_CREATE);\n\t}\n"
		post = "\tif (call.self) {\n\t\tc4_coll_leave(&call, rc != MPI_SUCCESS);\n"
		post = post "\t\tc4_freed(&freeing, rc);\n\t}\n"
	} else {
		pre = "\tc4_call_open(&call);\n"
		post = on("call", "c4_named(&call, rc, comm, name, C4_LENGTH_%L(name));")
	}
}

function creation(enter)
{
	return " {\n\t\tc4_op_set(&call, c4_creation);\n\t\t" enter "\n\t}\n"
}

function message_templates(k)
{
	pre = "\tif (c4_open_on(&call, comm)) {\n"
	if (k == "send")
		pre = pre "\t\tc4_sent(&call, dest, c4_bytes(count, datatype));\n" p2p("SEND", 1, 0)
	else if (k == "recv")
		pre = pre "\t\tc4_received(&call, source, c4_bytes(count, datatype));\n" p2p("RECV", 0, 1)
	else if (k == "both")
		pre = pre "\t\tc4_sent(&call, dest, c4_bytes(sendcount, sendtype));\n" \
			"\t\tc4_received(&call, source, c4_bytes(recvcount, recvtype));\n" p2p("SENDRECV", 1, 1)
	else if (k == "self")
		pre = pre "\t\tc4_sent(&call, dest, c4_bytes(count, datatype));\n" \
			"\t\tc4_received(&call, source, c4_bytes(count, datatype));\n" p2p("SENDRECV", 1, 1)
	else if (k == "probe")
		pre = pre p2p("PROBE", 0, 1)
	pre = pre "\t}\n"
	post = on("call", "c4_p2p_leave(&call, rc != MPI_SUCCESS);")
	if (k == "mrecv") {
		pre = "\tif (c4_open_anywhere(&call))\n"
		pre = pre "\t\tc4_p2p_enter(&call, C4_OP_RECV, C4_NO_PEER, MPI_ANY_SOURCE);\n"
	} else if (k == "iprobe") {
		pre = "\tc4_open_on(&call, comm);\n"
		post = on("call", "c4_probe_end(&call, rc || *flag, source);")
	}
}

function p2p(op, to, from)
{
	return "\t\tc4_p2p_enter(&call, C4_OP_" op ", " (to ? "c4_peer(dest)" : "C4_NO_PEER") \
		", " (from ? "c4_peer(source)" : "C4_NO_PEER") ");\n"
}

function posted_message_templates(k, op, peer)
{
	op = k ~ /send/ ? "SEND" : "RECV"
	peer = k == "imrecv" ? "MPI_ANY_SOURCE" : op == "SEND" ? "dest" : "source"
	pre = k == "imrecv" ? "\tc4_open_anywhere(&call);\n" : "\tc4_open_on(&call, comm);\n"
	post = on("call", "c4_message(&call, rc, c4_request_key_%L(request), C4_OP_" op ", " peer \
		", c4_bytes(count, datatype), " (k ~ /^p/ ? "C4_REQ_PERSISTENT" : "C4_REQ_ACTIVE") ");")
}

function request_templates(f, k, open)
{
	open = k == "keep" ? "C4_HELD_%L(" col[f, 5] ")" : col[f, 5]
	open = "c4_requests_%L(" col[f, 4] ", " open ")"
	if (k == "start" || k == "drop") {
		pre = "\tif (c4_call_open(&call)) {\n"
		pre = pre "\t\t" (k == "start" ? "c4_start_all_%L(&call, " col[f, 4] ", " col[f, 5] \
			: "c4_unfollow(c4_request_key_%L(request)") ");\n"
		pre = pre "\t\tc4_call_close(&call);\n\t}\n"
		return
	}
	decl = "\tstruct c4_wait w;\n"
	pre = "\tif (c4_call_open(&w.call))\n\t\tc4_wait_note(&w, " open ");\n"
	if (k == "wait")
		pre = "\tif (c4_call_open(&w.call)) {\n\t\tc4_wait_note(&w, " open ");\n\t\tc4_wait_begin(&w);\n\t}\n"
	post = "c4_" (k == "wait" ? "wait" : "test") "_end(&w, rc, rc ? 0 : (" col[f, 6] "), " col[f, 7]
	post = on("w.call", post (k == "wait" ? "" : k == "keep" ? ", true" : ", false") ");")
}

# ---- C ---------------------------------------------------------------------------------------

function c_types()
{
	ct["cbuf"] = "const void *"
	ct["buf"] = "void *"
	ct["int"] = "int "
	ct["ints"] = ct["cints"] = "const int *"
	ct["aints"] = "const MPI_Aint *"
	ct["type"] = "MPI_Datatype "
	ct["types"] = "const MPI_Datatype *"
	ct["op"] = "MPI_Op "
	ct["comm"] = "MPI_Comm "
	ct["pcomm"] = "MPI_Comm *"
	ct["group"] = "MPI_Group "
	ct["info"] = "MPI_Info "
	ct["infos"] = "const MPI_Info *"
	ct["request"] = "MPI_Request *"
	ct["vrequest"] = "MPI_Request "
	ct["message"] = "MPI_Message *"
	ct["status"] = "MPI_Status *"
	ct["pint"] = ct["argc"] = "int *"
	ct["argv"] = ct["argvs"] = "char ***"
	ct["string"] = ct["cstring"] = "const char *"
	ct["strings"] = "char **"
}

# Names of a call's arguments, comma-separated; with types for a declaration.
function c_list(f, typed, n, w, i, s)
{
	n = split(args[f], w, " ")
	for (i = 1; i <= n; i++) {
		if (!(w[i] in class)) {
			print "calls.tbl: unknown argument " w[i] " of " cname[f] > "/dev/stderr"
			exit 1
		}
		s = s (i > 1 ? ", " : "") (typed ? ct[class[w[i]]] : "") w[i]
	}
	return typed && !n ? "void" : s
}

function language(text, l)
{
	gsub(/%L/, l, text)
	return text
}

function c_wrapper(f)
{
	printf "\nEXPORT int %s(%s)\n{\n", cname[f], c_list(f, 1)
	printf "%s\tint rc;\n\n\tc4_mpi_need(&c4_set_c);\n", decl
	printf "%s\trc = real_c.call.%s(%s);\n%s\treturn rc;\n}\n", language(pre, "c"), cname[f],
		c_list(f, 0), language(post, "c")
}

# ---- Fortran ---------------------------------------------------------------------------------

function f_types()
{
	ft["cbuf"] = "const void *"
	ft["buf"] = "void *"
	ft["int"] = ft["type"] = ft["op"] = ft["comm"] = "const MPI_Fint *"
	ft["ints"] = ft["types"] = ft["group"] = ft["info"] = "const MPI_Fint *"
	ft["aints"] = "const MPI_Aint *"
	ft["pcomm"] = ft["request"] = ft["vrequest"] = ft["message"] = ft["status"] = ft["pint"] = "MPI_Fint *"
	ft["string"] = "const char *"

	# how a C variable is made of an argument, for those that are not used as they come
	made["cbuf"] = made["buf"] = "const void *%s = c4_buffer_f(f_%s);"
	made["int"] = "int %s = *f_%s;"
	made["type"] = "MPI_Datatype %s = C4_FROM_FORTRAN(Type_f2c, f_%s);"
	made["op"] = "MPI_Op %s = C4_FROM_FORTRAN(Op_f2c, f_%s);"
	made["comm"] = "MPI_Comm %s = C4_FROM_FORTRAN(Comm_f2c, f_%s);"
}

function uses(text, name)
{
	return (" " text " ") ~ ("[^A-Za-z0-9_.>]" name "[^A-Za-z0-9_]")
}

# typed 1: declaration with converted arguments renamed; 0: the names to pass on.
function f_list(f, typed, text, n, w, i, s, name)
{
	n = split(args[f], w, " ")
	for (i = 1; i <= n; i++) {
		if (class[w[i]] ~ /^arg[cv]$/)
			continue
		name = (class[w[i]] in made) && uses(text, w[i]) ? "f_" w[i] : w[i]
		s = s (typed ? ft[class[w[i]]] : "") name ", "
	}
	s = s (typed ? "MPI_Fint *" : "") "ierr"
	return has(f, "name") ? s ", " (typed ? "size_t " : "") "name_len" : s
}

function f_variables(f, text, n, w, i, s)
{
	n = split(args[f], w, " ")
	for (i = 1; i <= n; i++)
		if ((class[w[i]] in made) && uses(text, w[i]))
			s = s "\t" sprintf(made[class[w[i]]], w[i], w[i]) "\n"
	return s
}

function f_wrapper(f, text, low, rc, before, after)
{
	before = language(pre, "f")
	after = language(post, "f")
	text = before after
	rc = uses(after, "rc")
	low = tolower(cname[f])
	printf "\nstatic void f_%s(const struct fortran *real, %s)\n{\n", cname[f], f_list(f, 1, text)
	printf "%s%s\tMPI_Fint absent;\n%s\n", f_variables(f, text), decl, rc ? "\tint rc;\n" : ""
	printf "\tif (!ierr)\n\t\tierr = &absent;\n%s", before
	printf "\treal->%s(%s);\n", cname[f], f_list(f, 0, text)
	printf "%s%s}\n", rc ? "\trc = *ierr;\n" : "", after
	f_entry(f, low "_", "f77")
	f_entry(f, low "_f08_", "f08")
	printf "EXPORT void %s__(%s) __attribute__((alias(\"%s_\")));\n", low, f_list(f, 1, ""), low
}

function f_entry(f, symbol, set)
{
	printf "\nEXPORT void %s(%s);\n", symbol, f_list(f, 1, "")
	printf "EXPORT void %s(%s)\n{\n\tc4_mpi_need(&c4_set_%s);\n", symbol, f_list(f, 1, ""), set
	printf "\tf_%s(&real_%s.call, %s);\n}\n", cname[f], set, f_list(f, 0, "")
}

# ---- tables ----------------------------------------------------------------------------------

function head(f)
{
	print "/* Generated from agent/mpi/calls.tbl by agent/mpi/wrap.awk. */"
	print "#include \"agent/mpi/call.h\"\n"
	print "#define EXPORT __attribute__((visibility(\"default\")))\n"
	print "static const char *const names[] = {"
	for (f = 1; f <= ncalls; f++)
		printf "\t\"%s\",\n", cname[f]
	print "};\n\n#define CALLS (sizeof names / sizeof names[0])\n"
	for (f = 1; f <= ncalls; f++)
		printf "int %s(%s);\n", cname[f], c_list(f, 1)
	print "\nstruct c {"
	for (f = 1; f <= ncalls; f++)
		printf "\tint (*%s)(%s);\n", cname[f], c_list(f, 1)
	print "};\n\nstruct fortran {"
	for (f = 1; f <= ncalls; f++)
		if (kind[f] == "spawn")
			printf "\tvoid *%s;\n", cname[f]
		else
			printf "\tvoid (*%s)(%s);\n", cname[f], f_list(f, 1, "")
	print "};\n"
	set("c", "struct c", "NULL")
	set("f77", "struct fortran", "\"_\"")
	set("f08", "struct fortran", "\"_f08_\"")
}

function set(name, type, suffix)
{
	printf "static union {\n\t%s call;\n\tvoid *all[CALLS];\n} real_%s;\n\n", type, name
	printf "struct c4_mpi_set c4_set_%s = {names, real_%s.all, CALLS, %s, 0};\n\n", name, name, suffix
}
