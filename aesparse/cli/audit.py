"""The command `audit`: will an activation with a penalty learn sparse codes on some data?"""

import json
from pathlib import Path
from typing import Annotated

import typer

from aesparse import __version__
from aesparse.cli.options import DataOption, JsonOption, OutOption, output_paths, resolved
from aesparse.files import replacing

__all__ = ["audit_command"]

_OWN = "a name, or module:function of your own."


def audit_command(
    activation: Annotated[str, typer.Option(help=f"s: {_OWN}")],
    penalty: Annotated[str, typer.Option(help=f"R: {_OWN}")],
    data: Annotated[str, typer.Option(help="A data set, or a .npy or .npz file.")] = "digits",
    data_dir: DataOption = None,
    epsilon: Annotated[
        float, typer.Option(help="The data is standardized, (x − mean)/(std + ε), with this ε.")
    ] = 0.1,
    hidden: Annotated[int, typer.Option(help="m, the hidden units of the fresh model.")] = 64,
    threshold: Annotated[
        float | None,
        typer.Option(help="δ_min of the activation.", show_default="its own; 0 for a function"),
    ] = None,
    largest_strength: Annotated[
        float, typer.Option(help="The largest λ, the penalty's weight, that you would use.")
    ] = 1.0,
    updates: Annotated[
        int | None,
        typer.Option(help="Of the training that is forecast.", show_default="50 epochs"),
    ] = None,
    learning_rate: Annotated[
        float, typer.Option(help="Of the training that is forecast, SGD with momentum 0.9.")
    ] = 0.001,
    constraint: Annotated[
        str, typer.Option(help="The constraint on the weights, by name.")
    ] = "unit",
    out: OutOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Will the activation with this penalty learn sparse codes here: proved, and forecast."""
    from aesparse.data import load, standardize
    from aesparse.losses.penalties import get_penalty
    from aesparse.models.activations import Activation, get_activation
    from aesparse.pictures import save
    from aesparse.theory import audit
    from aesparse.theory.pictures import draw_audit
    from aesparse.theory.tables import audit_record

    s = resolved("activation", activation, get_activation)
    r = resolved("penalty", penalty, get_penalty)
    s = s if isinstance(s, Activation) else Activation(s)
    if threshold is not None:
        s = Activation(s.fn, threshold)
    name = data.encode(errors="replace").decode()  # a file's name may be any bytes
    paths = output_paths(out, f"audit-{activation}-{penalty}-{Path(name).stem}")
    pixels = load(data, data_dir=data_dir).train
    X = standardize(pixels, epsilon)(pixels)
    audited = audit(
        s,
        r,
        X,
        hidden=hidden,
        constraint=constraint,
        largest_strength=largest_strength,
        updates=updates,
        learning_rate=learning_rate,
    )
    record = {
        "aesparse": __version__,
        "activation": activation,
        "threshold": s.threshold,
        "penalty": penalty,
        "data": name,
        "epsilon": epsilon,
        "hidden": hidden,
        "constraint": constraint,
        "largest strength": largest_strength,
    } | audit_record(audited)
    with replacing(paths[0]) as png, replacing(paths[1]) as svg, replacing(paths[2]) as js:
        save(draw_audit(audited, f"{activation} with {penalty} on {name}"), png, svg)
        text = json.dumps(record, indent=1, ensure_ascii=False)
        js.write_text(text + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(record, indent=1))  # of ASCII alone, which every terminal has
        return
    looked_at = f"{name}, standardized with ε = {epsilon:g}, {hidden} fresh units, {constraint}"
    written = f"Written: {', '.join(map(str, paths))}"
    print(f"{audited}\nlooked at: {looked_at}\n\n{written}")
