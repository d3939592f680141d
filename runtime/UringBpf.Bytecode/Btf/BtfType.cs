using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>A type of BTF, the type format of BPF objects and of the kernel (Linux Documentation/bpf/btf.rst). Types refer to each other by id.</summary>
/// <param name="Id">Its id in its <see cref="BtfSpec"/>; 0 is void.</param>
/// <param name="Name">Its C name, or empty.</param>
public abstract record BtfType(int Id, string Name);

/// <summary>void: type 0.</summary>
public sealed record BtfVoid() : BtfType(0, "void");

/// <summary>INT: a number, character or bool.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its C name.</param>
/// <param name="Size">Bytes: 1, 2, 4, 8 or 16.</param>
/// <param name="Encoding">Signed, character or bool.</param>
/// <param name="BitOffset">First bit within the bytes: 0 except in old bit fields.</param>
/// <param name="Bits">Bits used.</param>
public sealed record BtfInteger(int Id, string Name, int Size, BtfIntegerEncoding Encoding, int BitOffset, int Bits) : BtfType(Id, Name);

/// <summary>How an INT is read.</summary>
[Flags]
public enum BtfIntegerEncoding : byte
{
    /// <summary>Unsigned.</summary>
    None = 0,
    /// <summary>Signed.</summary>
    Signed = 1,
    /// <summary>A character.</summary>
    Character = 2,
    /// <summary>A bool.</summary>
    Boolean = 4,
}

/// <summary>FLOAT.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its C name.</param>
/// <param name="Size">Bytes: 2, 4, 8, 12 or 16.</param>
public sealed record BtfFloat(int Id, string Name, int Size) : BtfType(Id, Name);

/// <summary>PTR.</summary>
/// <param name="Id">Its id.</param>
/// <param name="TypeId">What it points to.</param>
public sealed record BtfPointer(int Id, int TypeId) : BtfType(Id, "");

/// <summary>ARRAY.</summary>
/// <param name="Id">Its id.</param>
/// <param name="ElementTypeId">Type of an element.</param>
/// <param name="IndexTypeId">Type of an index.</param>
/// <param name="Count">Elements; 0 for flexible arrays.</param>
public sealed record BtfArray(int Id, int ElementTypeId, int IndexTypeId, uint Count) : BtfType(Id, "");

/// <summary>A member of a struct or union.</summary>
/// <param name="Name">Its name; empty for anonymous structs, unions and padding bit fields.</param>
/// <param name="TypeId">Its type.</param>
/// <param name="BitOffset">First bit, from the struct's start.</param>
/// <param name="BitSize">Bits of a bit field, 0 for ordinary members.</param>
public sealed record BtfMember(string Name, int TypeId, int BitOffset, int BitSize);

/// <summary>STRUCT or UNION.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its tag, or empty.</param>
/// <param name="IsUnion">True for a union.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Members">The members in order.</param>
public sealed record BtfStruct(int Id, string Name, bool IsUnion, int Size, ImmutableArray<BtfMember> Members) : BtfType(Id, Name);

/// <summary>One constant of an enum.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value; an unsigned 64-bit one is kept bit for bit.</param>
public sealed record BtfEnumerator(string Name, long Value);

/// <summary>ENUM or ENUM64.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its tag, or empty.</param>
/// <param name="Size">Bytes: 1, 2, 4 or 8.</param>
/// <param name="IsSigned">True when values are signed.</param>
/// <param name="Values">The constants in order.</param>
public sealed record BtfEnum(int Id, string Name, int Size, bool IsSigned, ImmutableArray<BtfEnumerator> Values) : BtfType(Id, Name);

/// <summary>FWD: a struct or union declared but not defined.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its tag.</param>
/// <param name="IsUnion">True for a union.</param>
public sealed record BtfForward(int Id, string Name, bool IsUnion) : BtfType(Id, Name);

/// <summary>Which modifier a <see cref="BtfModifier"/> is.</summary>
public enum BtfModifierKind : byte
{
    /// <summary>typedef</summary>
    Typedef,
    /// <summary>volatile</summary>
    Volatile,
    /// <summary>const</summary>
    Const,
    /// <summary>restrict</summary>
    Restrict,
    /// <summary>TYPE_TAG: <c>__attribute__((btf_type_tag("…")))</c></summary>
    TypeTag,
}

/// <summary>TYPEDEF, VOLATILE, CONST, RESTRICT or TYPE_TAG.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">The name of a typedef or tag, else empty.</param>
/// <param name="Kind">Which one.</param>
/// <param name="TypeId">The type it modifies.</param>
public sealed record BtfModifier(int Id, string Name, BtfModifierKind Kind, int TypeId) : BtfType(Id, Name);

/// <summary>A parameter of a function type.</summary>
/// <param name="Name">Its name, or empty.</param>
/// <param name="TypeId">Its type; 0 at the end of a variadic list.</param>
public sealed record BtfParameter(string Name, int TypeId);

/// <summary>FUNC_PROTO: a function type.</summary>
/// <param name="Id">Its id.</param>
/// <param name="ReturnTypeId">Type of the result, 0 for void.</param>
/// <param name="Parameters">The parameters; the last has type 0 and no name when it is variadic.</param>
public sealed record BtfPrototype(int Id, int ReturnTypeId, ImmutableArray<BtfParameter> Parameters) : BtfType(Id, "");

/// <summary>How far a function or variable is visible.</summary>
public enum BtfLinkage : byte
{
    /// <summary>In its file.</summary>
    Static,
    /// <summary>Everywhere.</summary>
    Global,
    /// <summary>Defined elsewhere.</summary>
    Extern,
}

/// <summary>FUNC: a function with a name.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its name.</param>
/// <param name="Linkage">How far it is visible.</param>
/// <param name="TypeId">Its <see cref="BtfPrototype"/>.</param>
public sealed record BtfFunction(int Id, string Name, BtfLinkage Linkage, int TypeId) : BtfType(Id, Name);

/// <summary>VAR: a global or static variable.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its name.</param>
/// <param name="Linkage">How far it is visible.</param>
/// <param name="TypeId">Its type.</param>
public sealed record BtfVariable(int Id, string Name, BtfLinkage Linkage, int TypeId) : BtfType(Id, Name);

/// <summary>Where a variable lies in its section.</summary>
/// <param name="TypeId">Its <see cref="BtfVariable"/>, or <see cref="BtfFunction"/> for an extern function.</param>
/// <param name="Offset">Byte offset.</param>
/// <param name="Size">Bytes.</param>
public sealed record BtfSectionVariable(int TypeId, int Offset, int Size);

/// <summary>DATASEC: the variables of one section.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">The section's name.</param>
/// <param name="Size">Bytes; compilers leave 0 for the loader to fill in.</param>
/// <param name="Variables">The variables.</param>
public sealed record BtfDataSection(int Id, string Name, int Size, ImmutableArray<BtfSectionVariable> Variables) : BtfType(Id, Name);

/// <summary>DECL_TAG: <c>__attribute__((btf_decl_tag("…")))</c> on a declaration.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">The tag.</param>
/// <param name="TypeId">The tagged struct, union, typedef, function or variable.</param>
/// <param name="Component">The tagged member or parameter, or -1 for the whole.</param>
public sealed record BtfDeclarationTag(int Id, string Name, int TypeId, int Component) : BtfType(Id, Name);
