"""An import contract that says what may be imported, not what may not: some floors need nothing but Python."""

import sys
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class StandardLibraryOnly(Contract):
    """Packages that import only the standard library and their own project.

    packages: names of packages; each module below them is looked at, and only direct imports count (what a module of
    the project may import in turn is the business of the floors).
    """

    packages: Any = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find each import that is neither the project's nor the standard library's."""
        root = self.session_options["root_packages"]
        found = []
        for module in sorted(graph.modules):
            if not any(module == package or module.startswith(package + ".") for package in self.packages):
                continue
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                top = imported.partition(".")[0]
                if top not in root and top not in sys.stdlib_module_names:
                    details = graph.get_import_details(importer=module, imported=imported)
                    found.append((module, imported, [detail["line_number"] for detail in details]))
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each such import with its line."""
        for module, imported, lines in check.metadata["found"]:
            places = ", ".join(f"l. {line}" for line in lines)
            output.print_error(f"{module} imports {imported} ({places}), which is not in the standard library")
