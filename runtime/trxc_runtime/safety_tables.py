"""What an emitted program may say: the nodes, modules, names and attributes that :mod:`.safety` lets through.

Everything is an allow-list, except inside a few numerical namespaces, where what reads or writes files, calls back
into Python or evaluates text is taken out again.
"""

from __future__ import annotations

import ast
import builtins


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NODES: tuple[type[ast.AST], ...] = (
    *(ast.Module, ast.FunctionDef, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.If, ast.With),
    *(ast.withitem, ast.Expr, ast.Assert, ast.Raise, ast.Pass, ast.Import, ast.ImportFrom, ast.alias, ast.expr_context),
    *(ast.BoolOp, ast.boolop, ast.NamedExpr, ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop, ast.Lambda, ast.IfExp),
    *(ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.Compare),
    *(ast.cmpop, ast.Call, ast.keyword, ast.arguments, ast.arg, ast.FormattedValue, ast.JoinedStr, ast.Constant),
    *(ast.Attribute, ast.Subscript, ast.Starred, ast.Name, ast.List, ast.Tuple, ast.Slice),
)

# Namespaces whose every public member may be used, less REFUSED_MEMBERS.
OPEN_MODULES = _words(
    """
    jax.numpy jax.numpy.linalg jax.numpy.fft jax.nn jax.nn.initializers jax.lax jax.lax.linalg jax.random
    jax.tree jax.tree_util jax.sharding jax.ops jax.image jax.scipy.special jax.scipy.linalg jax.scipy.stats
    jax.scipy.signal jax.ad_checkpoint jax.checkpoint_policies jax.dtypes optax optax.contrib optax.losses
    optax.schedules optax.transforms optax.projections optax.tree optax.tree_utils numpy numpy.linalg numpy.fft
    math
    """
)

# Namespaces of which only these members may be used.
CLOSED_MODULES: dict[str, frozenset[str]] = {
    "__future__": frozenset({"annotations"}),
    "zlib": frozenset({"crc32", "adler32"}),
    "functools": frozenset({"partial", "reduce", "wraps", "cache", "lru_cache"}),
    "typing": frozenset(
        {"Any", "Callable", "Final", "Literal", "Mapping", "Optional", "Sequence", "TypeAlias", "Union"}
    ),
    "collections.abc": frozenset({"Callable", "Iterable", "Iterator", "Mapping", "Sequence"}),
    "jax.scipy": frozenset({"special", "linalg", "stats", "signal"}),
    "jax.custom_batching": frozenset({"custom_vmap"}),
    "jax": _words(
        """
        Array ShapeDtypeStruct NamedSharding P numpy nn lax random tree tree_util sharding ops image scipy
        ad_checkpoint checkpoint_policies dtypes jit grad value_and_grad vmap vjp jvp jacfwd jacrev hessian
        linearize checkpoint remat custom_vjp custom_jvp custom_gradient custom_batching named_scope named_call set_mesh
        make_mesh shard_map devices device_count local_device_count default_backend default_device eval_shape
        make_jaxpr typeof block_until_ready device_put device_get closure_convert disable_jit
        default_matmul_precision numpy_dtype_promotion
        """
    ),
}

# Members of open namespaces that touch files, memory, other processes or Python objects behind our back.
REFUSED_MEMBERS = _words(
    """
    load save savez savez_compressed loadtxt savetxt genfromtxt fromfile fromregex memmap open_memmap DataSource
    tofile dump dumps ctypeslib f2py test testing info source lookfor get_include show_config show_runtime
    setbufsize seterrcall bmat from_dlpack frombuffer inject_hyperparams inject_stateful_hyperparams infeed
    outfeed Partial register_dataclass register_pytree_node register_pytree_node_class register_pytree_with_keys
    register_pytree_with_keys_class register_static
    """
)

# Attributes of values: array methods and the protocols of jax and optax. No frame, code or traceback attribute is here.
METHODS = _words(
    """
    T mT at set get add subtract multiply mul divide power min max apply ndim shape dtype size itemsize real
    imag eps tiny bits smallest_normal smallest_subnormal outer reduce accumulate reduceat astype reshape
    transpose swapaxes ravel flatten squeeze sum mean var std prod any all argmax argmin argsort sort cumsum
    cumprod clip dot conj round repeat take item tolist copy view block_until_ready sharding spec mesh
    axis_names axis_types axis_sizes devices is_fully_addressable init update items keys values append extend
    pop index count insert setdefault defvjp defjvp defjvps def_vmap mu nu hyperparams inner_state inner_states
    mini_step gradient_step acc_grads scale shape_tuple nothing_saveable everything_saveable dots_saveable
    dots_with_no_batch_dims_saveable save_only_these_names save_any_names_but_these
    save_anything_except_these_names checkpoint_dots checkpoint_dots_with_no_batch_dims save_from_both_policies
    offload_dot_with_no_batch_dims Auto Explicit Manual empty abstract_mesh encode join split strip startswith
    endswith lower upper replace rjust ljust removeprefix removesuffix isdigit lower_triangle trace eval_shape
    _replace _asdict
    """
)

ALLOWED_BUILTINS = _words(
    """
    abs all any bool complex dict divmod enumerate filter float frozenset int isinstance len list map max min
    pow print range reversed round set slice sorted str sum tuple zip repr True False None NotImplemented
    Ellipsis ValueError TypeError AssertionError RuntimeError KeyError IndexError NotImplementedError
    """
)

REFUSED_BUILTINS = frozenset(name for name in dir(builtins) if name not in ALLOWED_BUILTINS)
