"""`terrace images`: what is to be mirrored, which digests are locked, and how the platform's own images are made."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrace.cli.errors import reported
from terrace.cli.options import AsJson, ProjectFolder
from terrace.errors import InputError

if TYPE_CHECKING:
    from terrace.images import Images
    from terrace.images.locking import Locked

images = typer.Typer(
    help="List, lock, and build the container images of Kubernetes environments.\n\n"
    "Example: terrace images list prod --json",
    no_args_is_help=True,
    rich_markup_mode=None,
)

OptionalEnvironment = Annotated[
    str | None,
    typer.Argument(
        metavar="ENV",
        help="The environment whose network.image_registry has the images; without, they are where upstream has them.",
        show_default=False,
    ),
]


def list_images(env: OptionalEnvironment = None, project: ProjectFolder = None, as_json: AsJson = False) -> None:
    """List every image, where it comes from, and where clusters look for it.

    Example: terrace images list prod
    """
    from terrace.cli import results
    from terrace.images.listing import listed

    rows = list(listed(_images(env, project)))
    if as_json:
        results.print_json([dataclasses.asdict(row) for row in rows])
        return
    for row in rows:
        typer.secho(f"{row.name:<18}", bold=True, nl=False)
        typer.echo(row.image if row.source in (None, row.image) else f"{row.image}  from {row.source}", nl=False)
        typer.echo("" if row.source else "  (built here)")


def lock_images(env: OptionalEnvironment = None, project: ProjectFolder = None, as_json: AsJson = False) -> None:
    """Ask the registries which digests the tags stand for, and write components/images.lock.

    From then on an environment has every image by its digest, and an image that isn't locked is refused. Accounts are
    those of `docker login` and `podman login`.

    Example: terrace images lock prod
    """
    from terrace.cli import results
    from terrace.images import lock, locking
    from terrace.images.registry import Registries

    wanted = _images(env, project)
    found = locking.find(wanted, Registries())
    lock.write(found.references, lock.LOCK)
    if as_json:
        results.print_json({name: [str(each) for each in part] for name, part in dataclasses.asdict(found).items()})
        return
    typer.echo(f"locked {len(found.references)} images in components/{lock.LOCK.name}; commit it")
    _print_notes(wanted, found, env)


def build_images(
    env: OptionalEnvironment = None,
    project: ProjectFolder = None,
    push: Annotated[bool, typer.Option("--push", help="Bring them to the environment's registry, too.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Write the build contexts there, and build nothing."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build the platform's own images, of the same hash-locked packages that hosts install.

    docker, podman, or buildah builds, whichever is on PATH, for this machine's architecture. With --push, what the
    registry has is left out, and the digests of the rest go to components/images.lock where there is one.

    Example: terrace images build prod --push
    """
    from terrace.cli import results
    from terrace.images import builder

    wanted = _images(env, project)
    if push and output:
        raise InputError("--push and -o exclude each other", fix="push what you build from the contexts yourself")
    if push and not wanted.registry:
        raise InputError(
            "--push needs to know where to" if env else "--push needs an environment",
            fix=f"name a registry in stacks/Pulumi.{env}.yaml, network.image_registry" if env else "add its name",
        )
    if output:
        made = [_made(wanted, name, f"written to {folder}") for name, folder in builder.write(wanted, output)]
    else:
        made = _build(wanted, push=push)
    if as_json:
        results.print_json(made)
        return
    for image in made:
        typer.echo(f"{image['image']}  {image['done']}")


def _build(wanted: Images, *, push: bool) -> list[dict[str, str]]:
    """Build all own images, or all that the registry lacks; returns what was done to each."""
    from terrace.images import builder, lock, locking
    from terrace.images.registry import Registries

    built_by = builder.program()
    there = locking.own_images(wanted, Registries()) if push else {}
    made = []
    for name in wanted.table.own:
        if there.get(wanted.own_image(name).reference):
            made.append(_made(wanted, name, "is there already"))
            continue
        reference = builder.build(wanted, name, built_by)
        if push:
            builder.push(reference, built_by)
        made.append(_made(wanted, name, "built and pushed" if push else "built"))
    if push:
        locking.lock_own(wanted, Registries(), lock.LOCK)
    return made


def _made(wanted: Images, name: str, done: str) -> dict[str, str]:
    return {"name": name, "image": wanted.placed(wanted.own_image(name).reference).tagged, "done": done}


def _print_notes(wanted: Images, found: Locked, env: str | None) -> None:
    """Say what the user should know of what was locked."""
    notes = [f"{each.tagged} is another image than before; it was {each.digest}" for each in found.moved]
    notes += [
        f"{each.tagged} is for one platform alone; a copy of all is made by: skopeo copy --all, crane copy"
        for each in found.one_platform
    ]
    if found.not_built:
        names = ", ".join(each.path for each in found.not_built)
        notes.append(f"{wanted.registry} has no {names} yet: terrace images build {env} --push")
    for note in notes:
        typer.secho(f"note: {note}", fg=typer.colors.YELLOW, err=True)


def _images(env: str | None, project: Path | None) -> Images:
    """Return the images as the environment has them."""
    from terrace import config
    from terrace.cli.options import project_root
    from terrace.images import Images, lock

    spec = config.load(project_root(project), env).spec if env else None
    return Images.load(spec.network.image_registry if spec else None, lock.LOCK)


images.command("list")(reported(list_images))
images.command("lock")(reported(lock_images))
images.command("build")(reported(build_images))
