/* SPDX-License-Identifier: Apache-2.0 */
/* manifest_list.h - the image index (Docker: manifest list) that a name came as */
#pragma once

#include "image/image_store.h"

struct manifest_list {
	char digest[DIGEST_BUF];
	char *text; /* owned: the document, byte for byte */
	size_t len;
	json_t *doc;		 /* owned reference: of text */
	const char *media_type;	 /* constant */
	struct oci_desc *descs;	 /* owned array; borrows from doc */
	char (*ids)[DIGEST_BUF]; /* owned array: the image that is here for an entry, or "" */
	size_t n;
};

void manifest_list_free(struct manifest_list *list);
DEFINE_CLEANUP(struct manifest_list *, manifest_list_free)

/* Rows of a list whose document is published. In a transaction. */
int manifest_list_insert(struct image_store *is, const char *digest, const char *media_type,
			 uint64_t size_bytes, const json_t *doc, struct err *err);
/* The names stay, each as the one image that it points at. In a transaction or alone. */
int manifest_list_forget(struct image_store *is, const char *digest);
/* Forget the lists that no name leads to any more, and remove their documents */
void manifest_list_tidy(struct image_store *is);
/* Delete the rows of lists that no name leads to. In a transaction. ret_digests: of their
 * documents, which are garbage then; NULL-terminated */
int manifest_list_drop_unnamed(struct image_store *is, char ***ret_digests);

/* The digest alone; heap, NULL if that was no list */
int manifest_list_find(struct image_store *is, const char *text, char **ret, struct err *err);
/* What a name with a tag, or name@digest of a list, came as. *ret is NULL if that was no list. */
int manifest_list_of(struct image_store *is, const char *ref, struct manifest_list **ret,
		     struct err *err);
/* Whether all that it lists is here */
bool manifest_list_whole(const struct manifest_list *list);
/* An attestation or the like: no image */
bool manifest_list_is_image(const struct oci_desc *desc);
