; Later patterns win where several match.

(identifier) @variable
(comment) @comment
((comment) @comment.documentation
  (#match? @comment.documentation "^##"))
(string) @string
(number) @number
(bool) @boolean
(none) @constant.builtin

((identifier) @type
  (#match? @type "^[A-Z]"))
((identifier) @variable.builtin
  (#match? @variable.builtin "^(training|total_steps|inf|pi)$"))

[
  "use" "as" "const" "fn" "layer" "model" "extern" "from" "for" "in" "when"
  "input" "output" "param" "state" "carry" "dim" "next" "require"
] @keyword
["if" "else"] @keyword.conditional
["and" "or" "not"] @keyword.operator
(record_kind) @keyword

["|>" ">>" "->" "=>" "=" "==" "!=" "<" "<=" ">" ">=" "+" "-" "*" "/" "//" "%" "@" "^" "?" "..."] @operator
(ellipsis) @operator
["(" ")" "[" "]" "{" "}"] @punctuation.bracket
["," ":" "."] @punctuation.delimiter

(type dtype: (identifier) @type.builtin)
(dims (identifier) @property)
(pack (identifier) @property)
(dim_declaration name: (identifier) @property)
(attribute name: (identifier) @property)
(names (identifier) @property)
(assignment name: (identifier) @property)
(subrecord name: (identifier) @property)
(argument name: (identifier) @variable.parameter)
(parameter name: (identifier) @variable.parameter)
(signature name: (identifier) @variable.parameter)
(lambda (identifier) @variable.parameter)

(call function: (identifier) @function.call)
((call function: (identifier) @constructor)
  (#match? @constructor "^[A-Z]"))
(layer name: (identifier) @type.definition)
(function name: (identifier) @function)
(const name: (identifier) @constant)
(record name: (identifier) @label)
(extern kind: (identifier) @keyword)
(extern name: (identifier) @function)
(use_path (identifier) @module)
