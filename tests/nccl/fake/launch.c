// SPDX-License-Identifier: BSD-3-Clause
/*
 * Runs train.c as Python runs its extensions: in a library loaded privately, NCCL with it. Twice,
 * the library gone in between, with STANDIN_AGAIN set.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static int run(int argc, char **argv)
{
	void *library = dlopen("libtrain.so", RTLD_NOW | RTLD_LOCAL);
	int (*train)(int, char **) =
		library ? (int (*)(int, char **))dlsym(library, "train") : NULL;
	int rc;

	if (!train) {
		fprintf(stderr, "%s\n", dlerror());
		return 3;
	}
	rc = train(argc, argv);
	dlclose(library);
	return rc;
}

int main(int argc, char **argv)
{
	int rc = run(argc, argv);

	return !rc && getenv("STANDIN_AGAIN") ? run(argc, argv) : rc;
}
