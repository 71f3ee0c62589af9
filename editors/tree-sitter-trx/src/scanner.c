/* Newlines that end a statement, an item or a field, as compiler/trxc/syntax/layout.py finds them.
 *
 * The parser asks only where a newline could end something. It does not before `}`, the end of the file, and lines that
 * begin with `|>`, `>>` or `else`; comments in between do not matter. */

#include "tree_sitter/parser.h"

#include <stdbool.h>
#include <string.h>

enum Token { NEWLINE };

void *tree_sitter_trx_external_scanner_create(void) { return NULL; }

void tree_sitter_trx_external_scanner_destroy(void *payload) { (void)payload; }

unsigned tree_sitter_trx_external_scanner_serialize(void *payload, char *buffer) {
  (void)payload;
  (void)buffer;
  return 0;
}

void tree_sitter_trx_external_scanner_deserialize(void *payload, const char *buffer, unsigned length) {
  (void)payload;
  (void)buffer;
  (void)length;
}

static bool is_blank(int32_t character) { return character == ' ' || character == '\t' || character == '\r'; }

static bool is_of_word(int32_t character) {
  return character == '_' || (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') ||
         (character >= 'A' && character <= 'Z');
}

/* Passes blanks, newlines and comments. */
static void pass_trivia(TSLexer *lexer) {
  while (!lexer->eof(lexer)) {
    if (is_blank(lexer->lookahead) || lexer->lookahead == '\n') {
      lexer->advance(lexer, false);
    } else if (lexer->lookahead == '#') {
      while (lexer->lookahead != '\n' && !lexer->eof(lexer)) lexer->advance(lexer, false);
    } else {
      return;
    }
  }
}

static bool passes(TSLexer *lexer, const char *text) {
  for (; *text; text++) {
    if (lexer->lookahead != *text) return false;
    lexer->advance(lexer, false);
  }
  return true;
}

/* Whether the line at hand goes on with what the lines before it have begun. */
static bool goes_on(TSLexer *lexer) {
  switch (lexer->lookahead) {
    case '}': return true;
    case '|': return passes(lexer, "|>");
    case '>': return passes(lexer, ">>");
    case 'e': return passes(lexer, "else") && !is_of_word(lexer->lookahead);
    default: return lexer->eof(lexer);
  }
}

bool tree_sitter_trx_external_scanner_scan(void *payload, TSLexer *lexer, const bool *valid_symbols) {
  (void)payload;
  if (!valid_symbols[NEWLINE]) return false;
  while (is_blank(lexer->lookahead)) lexer->advance(lexer, true);
  if (lexer->lookahead != '\n') return false;
  lexer->advance(lexer, false);
  lexer->mark_end(lexer);
  pass_trivia(lexer);
  if (goes_on(lexer)) return false;
  lexer->result_symbol = NEWLINE;
  return true;
}
