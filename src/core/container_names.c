/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container_names.c - names: what is allowed, and made-up ones
 *
 * A made-up name is adjective_surname, the surnames of people who worked on emulation, operating
 * systems, networks and mathematics. After a few collisions a digit is added, later a larger
 * number.
 */
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "core/containers.h"

static const char *const name_adjectives[] = {
	"able",	  "agile",  "amber",   "ample",	   "apt",    "arctic",	"artful", "autumn",
	"azure",  "balmy",  "bold",    "brave",	   "breezy", "bright",	"brisk",  "bubbly",
	"calm",	  "candid", "careful", "chatty",   "cheery", "chief",	"civil",  "clean",
	"clear",  "clever", "cosmic",  "cosy",	   "crisp",  "curious", "dainty", "daring",
	"deft",	  "dewy",   "dapper",  "eager",	   "early",  "earthy",	"easy",	  "elastic",
	"even",	  "exact",  "fair",    "famous",   "fancy",  "fast",	"fine",	  "firm",
	"fluent", "fond",   "frank",   "fresh",	   "gentle", "giddy",	"glad",	  "gleeful",
	"golden", "good",   "grand",   "green",	   "handy",  "happy",	"hardy",  "hearty",
	"honest", "humble", "ideal",   "jolly",	   "jovial", "keen",	"kind",	  "lively",
	"loyal",  "lucid",  "lucky",   "lunar",	   "mellow", "merry",	"mighty", "modest",
	"neat",	  "nimble", "noble",   "patient",  "peppy",  "placid",	"plucky", "polite",
	"proud",  "quick",  "quiet",   "rapid",	   "ready",  "robust",	"rosy",	  "sane",
	"serene", "silent", "sleek",   "smart",	   "solid",  "sonic",	"spry",	  "steady",
	"sunny",  "swift",  "tidy",    "tranquil", "trusty", "upbeat",	"vivid",  "warm",
	"witty",  "young",  "zesty",   "zippy",
};

static const char *const name_surnames[] = {
	"allen",     "babbage",	  "backus",   "baran",	  "bartik",    "bellard",   "berners",
	"bernoulli", "boole",	  "bohr",     "brouwer",  "byron",     "cantor",    "cerf",
	"chaum",     "church",	  "clarke",   "codd",	  "corbato",   "creasy",    "curie",
	"dahl",	     "darwin",	  "davies",   "dekker",	  "diffie",    "dijkstra",  "engelbart",
	"erdos",     "euler",	  "faraday",  "fermat",	  "feynman",   "floyd",	    "fourier",
	"galois",    "gauss",	  "germain",  "godel",	  "goldberg",  "goldstine", "gray",
	"hamilton",  "hamming",	  "hellman",  "herschel", "hilbert",   "hoare",	    "holberton",
	"hopper",    "huffman",	  "jacobson", "jennings", "johnson",   "kahn",	    "karp",
	"kepler",    "kernighan", "kilburn",  "kleene",	  "kleinrock", "knuth",	    "kolmogorov",
	"lagrange",  "lamarr",	  "lamport",  "lampson",  "laplace",   "leibniz",   "liskov",
	"lovelace",  "mauchly",	  "maxwell",  "mccarthy", "mcilroy",   "meitner",   "merkle",
	"metcalfe",  "milner",	  "moore",    "napier",	  "naur",      "neumann",   "newton",
	"noether",   "noyce",	  "nygaard",  "ossanna",  "parnas",    "pascal",    "perlman",
	"planck",    "popek",	  "postel",   "rabin",	  "ramanujan", "riemann",   "ritchie",
	"rivest",    "roberts",	  "russell",  "saltzer",  "scott",     "shannon",   "simon",
	"sophie",    "strachey",  "strassen", "tarjan",	  "tesla",     "thompson",  "torvalds",
	"turing",    "vaughan",	  "volta",    "wheeler",  "wiles",     "wilkes",    "wirth",
	"yao",	     "zuse",
};

/**
 * container_name_valid() - Docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+
 * @name: Text without the leading "/"
 *
 * Return: the answer; also false beyond CONTAINER_NAME_MAX
 */
bool container_name_valid(const char *name)
{
	static const char alnum[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t len = strlen(name);

	return len >= 2 && len <= CONTAINER_NAME_MAX && strchr(alnum, name[0]) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
		       len;
}

/**
 * container_name_generate() - Make up a name
 * @out:     Receives it
 * @size:    Room in @out
 * @attempt: How many names before this one were taken
 */
void container_name_generate(char *out, size_t size, unsigned int attempt)
{
	unsigned int r[3];
	const char *adjective, *surname;

	random_bytes(r, sizeof(r));
	adjective = name_adjectives[r[0] % ARRAY_SIZE(name_adjectives)];
	surname = name_surnames[r[1] % ARRAY_SIZE(name_surnames)];
	if (attempt < 4)
		(void)snprintf(out, size, "%s_%s", adjective, surname);
	else
		(void)snprintf(out, size, "%s_%s%u", adjective, surname,
			       r[2] % (attempt < 8 ? 10u : 1000000u));
}
