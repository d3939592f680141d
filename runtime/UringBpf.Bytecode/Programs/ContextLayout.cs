using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>What a context field holds.</summary>
public enum ContextFieldKind : byte
{
    /// <summary>A number.</summary>
    Scalar,
    /// <summary>Pointer to the first byte of the buffer or packet.</summary>
    BufferStart,
    /// <summary>Pointer one past the last byte of the buffer or packet.</summary>
    BufferEnd,
    /// <summary>Bytes the program may use as memory of its own: any size, bounded variable offsets, may be passed to helpers.</summary>
    FlatMemory,
}

/// <summary>What a program may do with a context field.</summary>
public enum FieldAccess : byte
{
    /// <summary>Read only.</summary>
    Read,
    /// <summary>Read and write.</summary>
    ReadWrite,
}

/// <summary>One field of a context struct.</summary>
/// <param name="Name">The C member's name.</param>
/// <param name="Offset">Byte offset as the program sees it.</param>
/// <param name="Size">Bytes as the program sees it.</param>
/// <param name="Kind">What it holds.</param>
/// <param name="Access">What the program may do.</param>
/// <param name="HostOffset">Byte offset in the memory the engine passes as r1. It differs from <paramref name="Offset"/> where
/// the program sees a 32-bit field that is a 64-bit pointer in truth (<c>xdp_md</c>, <c>__sk_buff</c>): there the
/// engines translate the access.</param>
/// <param name="HostSize">Bytes in the memory the engine passes: 8 for pointers.</param>
public sealed record ContextField(string Name, int Offset, int Size, ContextFieldKind Kind, FieldAccess Access, int HostOffset, int HostSize)
{
    /// <summary>A field that lies in host memory as the program sees it.</summary>
    public ContextField(string name, int offset, int size, ContextFieldKind kind = ContextFieldKind.Scalar, FieldAccess access = FieldAccess.Read)
        : this(name, offset, size, kind, access, offset, size)
    {
    }

    /// <summary>True for a signed number. Loads do not depend on it; the types published for CO-RE do.</summary>
    public bool IsSigned { get; init; }

    /// <summary>Bytes of each element of flat memory, as the types published for CO-RE say. Default 8.</summary>
    public int ElementSize { get; init; } = 8;

    /// <summary>True when the program's view and the host's differ, so that engines must translate the access.</summary>
    public bool IsTranslated => HostOffset != Offset || HostSize != Size;
}

/// <summary>A context struct: what r1 points to when a program starts.</summary>
public sealed record ContextLayout
{
    /// <summary>The C struct's name, empty for flat memory.</summary>
    public required string StructName { get; init; }
    /// <summary>Bytes as the program sees it; for flat memory 0: the caller of the verifier says how many.</summary>
    public required int Size { get; init; }
    /// <summary>Bytes of the memory the engine passes.</summary>
    public required int HostSize { get; init; }
    /// <summary>The fields in order of offset. Bytes in no field can't be accessed.</summary>
    public required ImmutableArray<ContextField> Fields { get; init; }
    /// <summary>True when the whole context is memory the program may read and write at any (bounded) offset, and r2 is its length.</summary>
    public bool IsFlat { get; init; }
    /// <summary>True when the buffer between BufferStart and BufferEnd may be written.</summary>
    public bool BufferWritable { get; init; }

    /// <summary>The field that contains the bytes at <paramref name="offset"/>, or null.</summary>
    /// <param name="offset">Offset as the program sees it.</param>
    /// <param name="size">Bytes accessed.</param>
    public ContextField? Find(long offset, int size)
    {
        foreach (var field in Fields)
        {
            if (offset >= field.Offset && offset + size <= field.Offset + field.Size) return field;
        }
        return null;
    }
}
