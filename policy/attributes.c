/* attributes.c - see attributes.h. */
#include "common/defs.h"
#include "policy/attributes.h"

#include "common/text.h"

#include <ctype.h>
#include <string.h>

static const char *const given[] = { "tenant", "name", "strength" };

/* The words of policies that are no names. */
static const char *const words[] = {
	"true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar",
};

static bool is_among(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

bool attribute_is_given(const char *name)
{
	return is_among(given, ARRAY_LEN(given), name);
}

bool attribute_name_fits(const char *name)
{
	size_t len = strlen(name);
	if (!len || len > ATTRIBUTE_NAME_MAX || isdigit((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] != '_' && ((unsigned char)name[i] > 127 ||
		                       !isalnum((unsigned char)name[i])))
			return false;
	return !is_among(words, ARRAY_LEN(words), name) &&
	       !name_nearest(name, given, ARRAY_LEN(given));
}

static int check_one(const char *name, const char *text, const char *path, struct err *err)
{
	if (!attribute_name_fits(name))
		return err_set(err, E_INVALID, "%s: a member's name is letters, digits and _, at "
		               "most %d, no digit first, and no word of policies (in, has ...) nor "
		               "like tenant, name or strength, which every principal has; name it "
		               "otherwise",
		               path, ATTRIBUTE_NAME_MAX);
	if (!text || strlen(text) > ATTRIBUTE_TEXT_MAX)
		return err_set(err, E_INVALID, "%s.%s: is a text of at most %d bytes", path, name,
		               ATTRIBUTE_TEXT_MAX);
	return 0;
}

int attributes_check(const struct value *attributes, const char *path, struct err *err)
{
	if (value_len(attributes) > ATTRIBUTES_MAX)
		return err_set(err, E_INVALID, "%s: has %zu members, at most %d are allowed", path,
		               value_len(attributes), ATTRIBUTES_MAX);
	for (size_t i = 0; i < value_len(attributes); i++) {
		const char *name = NULL;
		const char *text = value_as_str(value_member(attributes, i, &name));
		TRY(check_one(name, text, path, err));
	}
	return 0;
}
