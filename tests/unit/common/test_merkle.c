/* test_merkle.c - against the vectors of Certificate Transparency's reference tests (RFC 6962). */
#include "common/defs.h"
#include "common/merkle.h"

#include "common/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { LEAVES = 8, MANY = 70 };

static const char *const leaf_hex[LEAVES] = {
	"", "00", "10", "2021", "3031", "40414243", "5051525354555657",
	"606162636465666768696a6b6c6d6e6f",
};
static const char *const root_hex[LEAVES + 1] = {
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t len = strlen(hex) / 2;
	for (size_t i = 0; i < len; i++) {
		unsigned byte = 0;
		cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return len;
}

static int vector_leaf(void *context, uint64_t index, uint8_t out[MERKLE_BYTES], struct err *err)
{
	uint8_t bytes[32];
	(void)context, (void)err;
	cr_assert_lt(index, LEAVES);
	merkle_leaf(bytes, unhex(leaf_hex[index], bytes), out);
	return 0;
}

static int number_leaf(void *context, uint64_t index, uint8_t out[MERKLE_BYTES], struct err *err)
{
	(void)context, (void)err;
	merkle_leaf(&index, sizeof index, out);
	return 0;
}

static void root_of(const struct merkle_source *source, uint64_t size, uint8_t out[MERKLE_BYTES])
{
	struct merkle_range range = { 0 };
	uint8_t leaf[MERKLE_BYTES];
	for (uint64_t i = 0; i < size; i++) {
		cr_assert_eq(source->leaf(source->context, i, leaf, NULL), 0);
		cr_assert_eq(merkle_append(&range, leaf, NULL), 0);
	}
	merkle_root(&range, out);
}

static void assert_hash(const uint8_t hash[MERKLE_BYTES], const char *hex)
{
	char got[2 * MERKLE_BYTES + 1];
	hex_print(hash, MERKLE_BYTES, got);
	cr_assert_str_eq(got, hex);
}

static const struct merkle_source vectors = { .leaf = vector_leaf, .context = NULL };
static const struct merkle_source numbers = { .leaf = number_leaf, .context = NULL };

Test(merkle, the_roots_are_those_that_are_published)
{
	uint8_t root[MERKLE_BYTES];
	for (uint64_t size = 0; size <= LEAVES; size++) {
		root_of(&vectors, size, root);
		assert_hash(root, root_hex[size]);
	}
}

Test(merkle, the_proofs_are_those_that_are_published)
{
	static const char *const path[] = {
		"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
		"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	};
	static const char *const grown[] = {
		"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
		"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	};
	struct merkle_proof proof;
	cr_assert_eq(merkle_inclusion(&vectors, 5, 8, &proof, NULL), 0);
	cr_assert_eq(proof.count, ARRAY_LEN(path));
	for (size_t i = 0; i < proof.count; i++)
		assert_hash(proof.hashes[i], path[i]);
	cr_assert_eq(merkle_consistency(&vectors, 6, 8, &proof, NULL), 0);
	cr_assert_eq(proof.count, ARRAY_LEN(grown));
	for (size_t i = 0; i < proof.count; i++)
		assert_hash(proof.hashes[i], grown[i]);
	cr_assert_eq(merkle_consistency(&vectors, 2, 5, &proof, NULL), 0);
	cr_assert_eq(proof.count, 2);
	assert_hash(proof.hashes[0],
	            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
	assert_hash(proof.hashes[1],
	            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b");
}

Test(merkle, every_leaf_is_proven_in_every_size_and_no_other_leaf_is)
{
	struct merkle_proof proof;
	uint8_t root[MERKLE_BYTES], leaf[MERKLE_BYTES];
	for (uint64_t size = 1; size <= MANY; size++) {
		root_of(&numbers, size, root);
		for (uint64_t index = 0; index < size; index++) {
			cr_assert_eq(merkle_inclusion(&numbers, index, size, &proof, NULL), 0);
			number_leaf(NULL, index, leaf, NULL);
			cr_assert(merkle_is_included(&proof, index, size, leaf, root));
			cr_assert_not(merkle_is_included(&proof, index + 1, size, leaf, root));
			leaf[7] ^= 1;
			cr_assert_not(merkle_is_included(&proof, index, size, leaf, root));
		}
		cr_assert_eq(merkle_inclusion(&numbers, size, size, &proof, NULL), E_INVALID);
	}
}

Test(merkle, every_size_is_proven_to_grow_out_of_every_smaller_one_and_a_changed_proof_is_not)
{
	struct merkle_proof proof;
	uint8_t root[MERKLE_BYTES], old_root[MERKLE_BYTES];
	for (uint64_t size = 1; size <= MANY; size++) {
		root_of(&numbers, size, root);
		for (uint64_t old = 1; old <= size; old++) {
			root_of(&numbers, old, old_root);
			cr_assert_eq(merkle_consistency(&numbers, old, size, &proof, NULL), 0);
			cr_assert(merkle_is_consistent(&proof, old, size, old_root, root));
			if (proof.count == 0)
				continue;
			proof.hashes[proof.count - 1][0] ^= 1;
			cr_assert_not(merkle_is_consistent(&proof, old, size, old_root, root));
			proof.hashes[proof.count - 1][0] ^= 1;
			proof.count--;
			cr_assert_not(merkle_is_consistent(&proof, old, size, old_root, root));
		}
	}
	cr_assert_eq(merkle_consistency(&numbers, 0, 5, &proof, NULL), E_INVALID);
	cr_assert_eq(merkle_consistency(&numbers, 6, 5, &proof, NULL), E_INVALID);
}

Test(merkle, a_range_is_read_from_its_size_and_edge_and_goes_on_alike)
{
	struct merkle_range range = { 0 }, again;
	uint8_t leaf[MERKLE_BYTES], one[MERKLE_BYTES], two[MERKLE_BYTES];
	for (uint64_t i = 0; i < MANY; i++) {
		size_t len = merkle_edge_count(range.size) * MERKLE_BYTES;
		cr_assert_eq(merkle_range_read(range.size, range.edge, len, &again, NULL), 0);
		cr_assert_eq(merkle_range_read(range.size, range.edge, len + 1, &again, NULL),
		             E_CORRUPT);
		number_leaf(NULL, i, leaf, NULL);
		cr_assert_eq(merkle_append(&range, leaf, NULL), 0);
		cr_assert_eq(merkle_append(&again, leaf, NULL), 0);
		merkle_root(&range, one);
		merkle_root(&again, two);
		cr_assert_arr_eq(one, two, MERKLE_BYTES);
	}
	cr_assert_eq(merkle_range_read(UINT64_C(1) << MERKLE_DEPTH_MAX, leaf, MERKLE_BYTES, &again,
	                               NULL), E_CORRUPT);
	range.size = (UINT64_C(1) << MERKLE_DEPTH_MAX) - 1;
	cr_assert_eq(merkle_append(&range, leaf, NULL), E_TOO_LARGE);
}
