package syntax

/*
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The part of tree-sitter's interface that is used here, as in its api.h (version 15 of its ABI); the library itself is
// compiled and linked by its Go binding. The binding's own calls cross from Go to C several times for each node, and
// its allocator crosses back for each allocation: parsing a session of 50 cells took 13 ms that way and takes 6.5 ms
// this way, on the same busy machine.
typedef struct { uint32_t context[4]; const void *id; const void *tree; } TSNode;
typedef struct { const void *tree; const void *id; uint32_t context[3]; } TSTreeCursor;
void *ts_parser_new(void);
void ts_parser_delete(void *);
bool ts_parser_set_language(void *, const void *);
void *ts_parser_parse_string(void *, const void *, const char *, uint32_t);
void ts_tree_delete(void *);
TSNode ts_tree_root_node(const void *);
TSTreeCursor ts_tree_cursor_new(TSNode);
void ts_tree_cursor_delete(TSTreeCursor *);
TSNode ts_tree_cursor_current_node(const TSTreeCursor *);
uint16_t ts_tree_cursor_current_field_id(const TSTreeCursor *);
bool ts_tree_cursor_goto_first_child(TSTreeCursor *);
bool ts_tree_cursor_goto_next_sibling(TSTreeCursor *);
bool ts_tree_cursor_goto_parent(TSTreeCursor *);
uint16_t ts_node_symbol(TSNode);
uint32_t ts_node_start_byte(TSNode);
uint32_t ts_node_end_byte(TSNode);
bool ts_node_is_named(TSNode);
bool ts_node_is_missing(TSNode);
void ts_set_allocator(void *(*)(size_t), void *(*)(size_t, size_t), void *(*)(void *, size_t), void (*)(void *));

// A node in preorder; its parent follows from depth.
typedef struct { uint32_t start, end, depth; uint16_t symbol, field; uint8_t named, missing; } flat;

static void metaml_allocator(void) { ts_set_allocator(NULL, NULL, NULL, NULL); }

// metaml_parse gives the named, missing and erroneous nodes of a text, or NULL if memory or the depth is exhausted.
static flat *metaml_parse(const void *language, const char *text, uint32_t length, uint32_t max_depth, size_t *count,
	bool *deep) {
	*count = 0;
	*deep = false;
	void *parser = ts_parser_new();
	if (!parser) return NULL;
	flat *out = NULL;
	void *tree = NULL;
	if (ts_parser_set_language(parser, language)) tree = ts_parser_parse_string(parser, NULL, text, length);
	if (tree) {
		size_t cap = 64 + length / 4;
		out = malloc(cap * sizeof(flat));
		TSTreeCursor cur = ts_tree_cursor_new(ts_tree_root_node(tree));
		uint32_t depth = 0;
		while (out) {
			TSNode n = ts_tree_cursor_current_node(&cur);
			uint16_t symbol = ts_node_symbol(n);
			bool named = ts_node_is_named(n), missing = ts_node_is_missing(n);
			if (named || missing || symbol == 65535) {
				if (*count == cap) {
					cap *= 2;
					flat *more = realloc(out, cap * sizeof(flat));
					if (!more) { free(out); out = NULL; break; }
					out = more;
				}
				flat *f = &out[(*count)++];
				f->start = ts_node_start_byte(n);
				f->end = ts_node_end_byte(n);
				f->depth = depth;
				f->symbol = symbol;
				f->field = ts_tree_cursor_current_field_id(&cur);
				f->named = named;
				f->missing = missing;
			}
			if (ts_tree_cursor_goto_first_child(&cur)) {
				if (++depth > max_depth) { *deep = true; break; }
				continue;
			}
			bool done = false;
			while (!ts_tree_cursor_goto_next_sibling(&cur)) {
				if (!ts_tree_cursor_goto_parent(&cur)) { done = true; break; }
				depth--;
			}
			if (done) break;
		}
		ts_tree_cursor_delete(&cur);
		ts_tree_delete(tree);
	}
	ts_parser_delete(parser);
	return out;
}
*/
import "C"

import (
	"errors"
	"unsafe"
)

// flat is a node in preorder.
type flat = C.flat

func useLibraryAllocator() { C.metaml_allocator() }

// parseFlat parses a text into its nodes in preorder. The caller calls release when it has read them.
func parseFlat(language unsafe.Pointer, src string) (nodes []flat, release func(), err error) {
	var count C.size_t
	var deep C.bool
	text := unsafe.StringData(src)
	if src == "" {
		text = unsafe.StringData("\x00")
	}
	// bounded by MaxBytes
	p := C.metaml_parse(language, (*C.char)(unsafe.Pointer(text)), C.uint32_t(len(src)), MaxDepth, &count, &deep)
	release = func() { C.free(unsafe.Pointer(p)) }
	switch {
	case bool(deep):
		release()
		return nil, nil, ErrTooDeep
	case p == nil:
		return nil, nil, errors.New("the parser ran out of memory")
	}
	return unsafe.Slice(p, int(count)), release, nil // a size that was allocated
}
