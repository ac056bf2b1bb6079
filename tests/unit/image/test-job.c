/* SPDX-License-Identifier: Apache-2.0 */
/* test-job.c - what goes while something is under way, and what stays */
#include <stdatomic.h>

#include "image/image_check.h"
#include "load_fixture.h"

static int delete (struct fixture *f, const char *ref)
{
	struct image *image = NULL;
	char **deleted = NULL;
	struct err err = {};
	int r = image_get(f->is, ref, &image, &err);

	if (r == 0)
		r = image_delete(f->is, image->id, &deleted, NULL, &err);
	for (char **d = deleted; d && *d; d++)
		free(*d);
	free(deleted);
	image_free(image);
	return r;
}

static void check_say(void *user UNUSED, const char *line)
{
	printf("# %s\n", line);
}

static bool store_is_consistent(struct fixture *f)
{
	struct image_check_result found = {.problems = 1};

	return image_check(f->root, f->store, IMAGE_CHECK_FULL, check_say, NULL, &found, &f->err) ==
		       0 &&
	       found.problems == 0;
}

/* A save during which both images are deleted. */
struct saving {
	struct fixture *f;
	struct buf out;
	size_t layers, disks, blobs; /* right after that */
};

static void saving_done(struct saving *s)
{
	buf_done(&s->out);
}

static int saving_write(void *user, const void *data, size_t len)
{
	struct saving *s = user;

	if (s->out.len == 0) {
		if (delete (s->f, "x:1") < 0 || delete (s->f, "o:1") < 0)
			return -EIO;
		s->layers = entries(s->f, "layers");
		s->disks = entries(s->f, "rootfs");
		s->blobs = entries(s->f, "blobs/sha256");
	}
	buf_add(&s->out, data, len);
	return 0;
}

/* Goal: a delete gives back at once what no save needs; what one needs goes with its end. */
TEST(what_a_save_needs_stays_and_the_rest_goes_at_once)
{
	_cleanup_tar_ struct tar docker = {}, oci = {};
	const char *ref = "x:1";
	char digest[DIGEST_BUF];
	FIXTURE;
	_cleanup_(saving_done) struct saving s = {.f = &f};

	make_docker(&docker, &(struct docker_spec){});
	make_oci(&oci, 0, digest);
	ASSERT_OK(load_buf(&f, &docker.out));
	ASSERT_OK(load_buf(&f, &oci.out));
	ASSERT_EQ(entries(&f, "layers"), 3);
	ASSERT_OK(image_save(
		f.is,
		&(struct image_save){.refs = &ref, .refs_n = 1, .write = saving_write, .user = &s},
		&f.err));
	/* config, manifest and two layers of x:1 are blobs that are saved; nothing else is needed
	 */
	ASSERT_EQ(s.blobs, 4);
	ASSERT_EQ(s.layers, 0);
	ASSERT_EQ(s.disks, 0);
	ASSERT(store_is_empty(&f));
	ASSERT_OK(load_buf(&f, &s.out));
	ASSERT_STREQ(f.last_line, "Loaded image: x:1\n");
	ASSERT(store_is_consistent(&f));
}

/* A load during which an image with the same layers goes. */
struct loading {
	struct fixture *f;
	struct memory memory;
	size_t layers; /* right after that */
};

static ssize_t loading_read(void *user, void *data, size_t len)
{
	struct loading *l = user;
	ssize_t n = memory_read(&l->memory, data, len);

	if (n == 0 && l->layers == SIZE_MAX) {
		/* the workers have long had the layers; one that is late makes the test weaker */
		usleep(50000);
		if (delete (l->f, "x:1") < 0)
			return -EIO;
		l->layers = entries(l->f, "layers");
	}
	return n;
}

/* Goal: a load does not rely on a layer that was there when it came to it. */
TEST(a_layer_that_goes_under_a_load_is_made_again)
{
	_cleanup_tar_ struct tar first = {}, second = {};
	FIXTURE;
	struct loading l = {.f = &f, .layers = SIZE_MAX};
	struct byte_source source = {loading_read, &l};
	struct image_load load = {.quiet = true, .progress = on_line, .user = &f};

	make_docker(&first, &(struct docker_spec){});
	make_docker(&second, &(struct docker_spec){.tags = "[\"y:1\"]",
						   .config_extra = "\"comment\":\"y\","});
	ASSERT_OK(load_buf(&f, &first.out));
	l.memory = (struct memory){.data = second.out.data, .len = second.out.len};
	ASSERT_OK(image_load(f.is, &source, &load, &f.err));
	ASSERT_EQ(l.layers, 0);
	ASSERT_EQ(entries(&f, "layers"), 2);
	ASSERT(store_is_consistent(&f));
	ASSERT_OK(delete (&f, "y:1"));
	ASSERT(store_is_empty(&f));
}

#define ROUNDS 60
#define LOADERS 3

struct worker {
	struct fixture *f;
	const struct buf *archive; /* NULL: delete, as long as there are loaders */
	const char *ref;
	atomic_int *loaders;
	int result;
};

static void *load_main(void *user)
{
	struct worker *w = user;

	for (int i = 0; i < ROUNDS && w->result == 0; i++) {
		struct fixture own = {.is = w->f->is};

		w->result = load_buf(&own, w->archive);
		if (w->result < 0)
			printf("# %s\n", own.err.msg);
	}
	(*w->loaders)--;
	return NULL;
}

static void *delete_main(void *user)
{
	struct worker *w = user;

	while (*w->loaders > 0 && w->result == 0) {
		int r = delete (w->f, w->ref);

		w->result = r == -ENOENT ? 0 : r;
	}
	return NULL;
}

/* Goal: no order of loads and deletes of images with common layers breaks one, or leaves a file. */
TEST(loads_and_deletes_side_by_side_leave_nothing)
{
	_cleanup_tar_ struct tar x = {}, y = {};
	FIXTURE;
	atomic_int loaders = LOADERS;
	struct worker workers[] = {
		{&f, &x.out, NULL, &loaders, 0}, {&f, &y.out, NULL, &loaders, 0},
		{&f, &x.out, NULL, &loaders, 0}, {&f, NULL, "x:1", &loaders, 0},
		{&f, NULL, "y:1", &loaders, 0},
	};
	pthread_t threads[ARRAY_SIZE(workers)];

	make_docker(&x, &(struct docker_spec){});
	make_docker(&y, &(struct docker_spec){.tags = "[\"y:1\"]",
					      .config_extra = "\"comment\":\"y\","});
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++)
		if (pthread_create(&threads[i], NULL, i < LOADERS ? load_main : delete_main,
				   &workers[i]) != 0)
			abort();
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++)
		(void)pthread_join(threads[i], NULL);
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++)
		ASSERT_OK(workers[i].result);
	ASSERT(store_is_consistent(&f));
	(void)delete (&f, "x:1");
	(void)delete (&f, "y:1");
	ASSERT(store_is_empty(&f));
}

TEST_MAIN()
