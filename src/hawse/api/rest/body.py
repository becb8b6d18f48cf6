"""Request bodies: decoded by msgspec exactly as declared. No field is guessed, converted or ignored."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import msgspec
from litestar.dto import AbstractDTO
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from hawse.domain.errors import Invalid

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.dto.data_structures import DTOFieldDefinition


class Strict(AbstractDTO[msgspec.Struct]):
    """Litestar converts a body leniently ("5" becomes 5); this decodes JSON of the declared type, or refuses it."""

    _decoders: dict[str, msgspec.json.Decoder[Any]] = {}

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None,
    ) -> None:
        cls._decoders[handler_id] = msgspec.json.Decoder(field_definition.annotation, strict=True)

    def decode_bytes(self, value: bytes) -> Any:
        try:
            return self._decoders[self.asgi_connection.route_handler.handler_id].decode(value)
        except msgspec.ValidationError as error:
            raise Invalid(f"the body is not valid: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid(f"the body is not JSON in UTF-8: {error}") from None

    def decode_builtins(self, value: dict[str, Any]) -> Any:
        raise Invalid("the body is JSON, not a form")

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: SchemaCreator
    ) -> Reference | Schema:
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        return False
