/**
 * The syntax of `.trx` files for editors, rule by rule as in grammar/trx.lark, which is what the compiler reads.
 *
 * Here a text may be unfinished, and newlines are more often allowed: what is wrong, the compiler says. Newlines that
 * end something are found by src/scanner.c.
 */

/// <reference types="tree-sitter-cli/dsl" />

/** One or more, with commas in between and perhaps one after the last. */
const listed = (rule) => seq(rule, repeat(seq(',', rule)), optional(','));

/** None, one or more, with commas in between and perhaps one after the last. */
const maybeListed = (rule) => optional(listed(rule));

/** One or more, with commas in between. */
const several = (rule) => seq(rule, repeat(seq(',', rule)));

module.exports = grammar({
  name: 'trx',

  externals: ($) => [$._newline],

  extras: ($) => [/[ \t\r\n]/, $.comment],

  word: ($) => $.identifier,

  inline: ($) => [$._item, $._statement, $._extern_statement, $._field, $._index_item, $._dim],

  rules: {
    file: ($) => optional(seq($._item, repeat(seq($._newline, $._item)))),

    // -------------------------------------------------------------------------------------------------- items

    _item: ($) => choice($.use, $.const, $.function, $.layer, $.extern, $.record),

    use: ($) => seq('use', $.use_path, optional($.use_names), optional($.alias)),
    use_path: ($) => choice(seq($.identifier, repeat(seq('.', $.identifier))), $.string),
    use_names: ($) => seq('(', listed($.identifier), ')'),
    alias: ($) => seq('as', $.identifier),

    const: ($) => seq('const', field('name', $.identifier), optional($.annotation), '=', $._expression),
    function: ($) =>
      seq('fn', field('name', $.identifier), $.parameters, optional($.result), '=', field('body', $._expression)),
    layer: ($) =>
      seq(
        choice('layer', 'model'),
        field('name', $.identifier),
        optional($.parameters),
        choice($.body, seq('=', field('body', $._expression))),
      ),

    parameters: ($) => seq('(', maybeListed($.parameter), ')'),
    parameter: ($) =>
      seq(optional('...'), field('name', $.identifier), optional($.annotation), optional(seq('=', $._expression))),
    annotation: ($) => seq(':', $.type),
    result: ($) => seq('->', $.type),

    extern: ($) =>
      seq(
        'extern',
        field('kind', $.identifier),
        field('name', $.identifier),
        optional($.parameters),
        optional($.yields),
        'from',
        $.string,
        optional($.call_arguments),
        optional($.extern_body),
      ),
    yields: ($) => seq('->', several($.signature)),
    extern_body: ($) =>
      seq('{', optional(seq($._extern_statement, repeat(seq($._newline, $._extern_statement)))), '}'),
    _extern_statement: ($) => choice($.input, $.extern_output, $.dim_declaration, $.require),
    extern_output: ($) => seq('output', several($.signature)),

    record: ($) => seq($.record_kind, field('name', $.identifier), optional($.subject), $.fields),
    record_kind: () => choice('data', 'train', 'generate', 'weights', 'evaluate', 'mesh'),
    subject: ($) => seq('for', $.identifier),
    fields: ($) => seq('{', optional(seq($._field, repeat(seq($._field_end, $._field)), optional(','))), '}'),
    _field_end: ($) => choice($._newline, ','),
    _field: ($) => choice($.assignment, $.rule, $.subrecord),
    assignment: ($) => seq(field('name', several_names($)), '=', field('value', $._expression)),
    rule: ($) => seq(several($._key), '->', $._expression),
    _key: ($) => choice($.identifier, $.string),
    subrecord: ($) => seq(field('name', $.identifier), $.fields),

    // --------------------------------------------------------------------------------------------- statements

    body: ($) => seq('{', optional(seq($._statement, repeat(seq($._newline, $._statement)))), '}'),
    _statement: ($) =>
      choice(
        $.input,
        $.output,
        $.param,
        $.state,
        $.carry,
        $.dim_declaration,
        $.bind,
        $.next,
        $.if_statement,
        $.require,
      ),

    input: ($) => seq('input', several($.signature)),
    signature: ($) => seq(field('name', $.identifier), ':', $.type, optional(seq('=', $._expression))),
    output: ($) =>
      seq('output', choice($._expression, seq(field('name', $.identifier), optional($.annotation), '=', $._expression))),
    param: ($) => seq('param', field('name', $.identifier), ':', $.type, '=', $._expression, optional($.condition)),
    condition: ($) => seq('when', $._expression),
    state: ($) => seq('state', field('name', $.identifier), ':', $.type, '=', $._expression),
    carry: ($) => seq('carry', field('name', $.identifier), ':', $.type, '=', $._expression),
    dim_declaration: ($) => seq('dim', field('name', $.identifier), '=', $._expression),
    bind: ($) =>
      choice(
        seq(field('name', $._bound), $.annotation, '=', $._expression),
        seq(field('name', $._bound), repeat(seq(',', field('name', $.identifier))), '=', $._expression),
      ),
    next: ($) => seq('next', field('name', $.identifier), '=', $._expression),
    require: ($) => seq('require', $._expression, optional(seq(',', $.string))),
    if_statement: ($) => seq('if', field('condition', $._expression), $.body, optional($.otherwise)),
    otherwise: ($) => seq('else', choice($.body, $.if_statement)),

    // The words that begin statements are names where `=`, `:` or `,` comes next.
    _bound: ($) => choice($.identifier, alias($._statement_word, $.identifier)),
    _statement_word: () => choice('input', 'output', 'param', 'state', 'carry', 'dim', 'require', 'next'),

    // -------------------------------------------------------------------------------------------------- types

    type: ($) => seq(field('dtype', $.identifier), optional($.dims), optional('?')),
    dims: ($) => seq('[', maybeListed($._dim), ']'),
    _dim: ($) => choice($._expression, $.pack),
    pack: ($) => seq('...', optional($.identifier)),

    // -------------------------------------------- expressions, from the loosest to the tightest, as in the Lark file

    _expression: ($) => choice($._pipe, $._open_compose, alias($.open_pipe, $.pipe)),
    open_pipe: ($) => seq($._pipe, '|>', $._open_compose),
    _open_compose: ($) => choice($.lambda, alias($.compose_with_lambda, $.compose)),
    compose_with_lambda: ($) => seq($._compose, '>>', $.lambda),
    lambda: ($) => seq('fn', '(', maybeListed($.identifier), ')', '=>', field('body', $._expression)),

    _pipe: ($) => choice($._compose, $.pipe),
    pipe: ($) => seq($._pipe, '|>', $._compose),
    _compose: ($) => choice($._disjunction, $.compose),
    compose: ($) => seq($._compose, '>>', $._disjunction),
    _disjunction: ($) => choice($._conjunction, alias($.or, $.binary)),
    or: ($) => seq($._disjunction, 'or', $._conjunction),
    _conjunction: ($) => choice($._inversion, alias($.and, $.binary)),
    and: ($) => seq($._conjunction, 'and', $._inversion),
    _inversion: ($) => choice($._comparison, alias($.not, $.unary)),
    not: ($) => seq('not', $._inversion),
    _comparison: ($) => choice($._sum, alias($.comparison, $.binary)),
    comparison: ($) => seq($._sum, choice('==', '!=', '<=', '>=', '<', '>'), $._sum),
    _sum: ($) => choice($._product, alias($.sum, $.binary)),
    sum: ($) => seq($._sum, choice('+', '-'), $._product),
    _product: ($) => choice($._operand, alias($.product, $.binary)),
    product: ($) => seq($._product, choice('*', '/', '//', '%', '@'), $._operand),
    _operand: ($) => choice($._power, $.unary, $.if_expression),
    unary: ($) => seq(choice('+', '-'), $._operand),
    _power: ($) => choice($._postfix, alias($.power, $.binary)),
    power: ($) => seq($._postfix, '^', $._operand),
    if_expression: ($) =>
      seq(
        'if',
        field('condition', $._expression),
        '{',
        $._expression,
        '}',
        'else',
        choice($.if_expression, seq('{', $._expression, '}')),
      ),

    _postfix: ($) => choice($._atom, $.call, $.attribute, $.names, $.index),
    call: ($) => seq(field('function', $._postfix), $.call_arguments),
    call_arguments: ($) => seq('(', maybeListed($.argument), ')'),
    argument: ($) => choice($._expression, seq(field('name', $.identifier), '=', $._expression)),
    attribute: ($) => seq($._postfix, '.', field('name', $.identifier)),
    names: ($) => seq($._postfix, '.', '{', listed($.identifier), '}'),
    index: ($) => seq($._postfix, '[', listed($._index_item), ']'),
    _index_item: ($) => choice($._expression, $.slice, $.ellipsis),
    slice: ($) => seq(optional($._expression), ':', optional($._expression)),
    ellipsis: () => '...',

    _atom: ($) =>
      choice(
        $.identifier,
        alias($._expression_word, $.identifier),
        $.number,
        $.string,
        $.bool,
        $.none,
        $.next_value,
        $.parenthesised,
        $.tuple,
        $.list,
        $.comprehension,
      ),
    // `next h` and `fn(x) => …` are more than names.
    _expression_word: () => prec(-1, choice('next', 'fn')),
    bool: () => choice('true', 'false'),
    none: () => 'none',
    next_value: ($) => seq('next', $.identifier),
    parenthesised: ($) => seq('(', $._expression, ')'),
    tuple: ($) => seq('(', optional(seq($._expression, ',', maybeListed($._expression))), ')'),
    list: ($) => seq('[', maybeListed($._expression), ']'),
    comprehension: ($) =>
      seq(
        '[',
        $._expression,
        'for',
        field('name', $.identifier),
        'in',
        $._expression,
        optional(seq('if', $._expression)),
        ']',
      ),

    // ---------------------------------------------------------------------------------------------- terminals

    identifier: () => /[A-Za-z_][A-Za-z0-9_]*/,
    number: () => /[0-9]+(_[0-9]+)*(\.[0-9]+(_[0-9]+)*)?([eE][+-]?[0-9]+)?/,
    string: () => /"([^"\\\r\n]|\\[^\r\n])*"/,
    comment: () => token(/#[^\r\n]*/),
  },
});

/** `evaluate.every` */
function several_names($) {
  return seq($.identifier, repeat(seq('.', $.identifier)));
}
