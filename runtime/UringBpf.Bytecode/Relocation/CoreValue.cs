namespace UringBpf.Bytecode;

/// <summary>What a CO-RE relocation puts into the instruction.</summary>
/// <param name="Value">The number.</param>
/// <param name="IsExact">False when compilers and loaders may differ about it, so that what the instruction holds can't be checked.</param>
/// <param name="FieldSize">For a byte offset: bytes of the field; else 0.</param>
/// <param name="FieldTypeId">For a byte offset: the field's type.</param>
internal readonly record struct CoreValue(ulong Value, bool IsExact = true, int FieldSize = 0, int FieldTypeId = 0)
{
    /// <summary>Computes it for an access, local or found; null when it has no value and the instruction must be poisoned.</summary>
    public static CoreValue? Of(CoreRelocationKind kind, CoreAccess? access) => kind switch
    {
        CoreRelocationKind.FieldExists or CoreRelocationKind.TypeExists or CoreRelocationKind.TypeMatches or CoreRelocationKind.EnumeratorExists
            => new CoreValue(access is null ? 0u : 1u),
        // A type that the target lacks has id and size 0.
        CoreRelocationKind.TypeIdLocal or CoreRelocationKind.TypeIdTarget => new CoreValue((uint)(access?.RootTypeId ?? 0), IsExact: false),
        CoreRelocationKind.TypeSize when access is null => new CoreValue(0),
        CoreRelocationKind.TypeSize => access.Types.SizeOf(access.RootTypeId) is >= 0 and var size ? new CoreValue((ulong)size) : null,
        CoreRelocationKind.EnumeratorValue => access is null ? null : Enumerator(access),
        _ => access is null ? null : Field(kind, access),
    };

    private static CoreValue Enumerator(CoreAccess access)
    {
        var type = (BtfEnum)access.Types[access.Steps[0].TypeId];
        var value = type.Values[access.Steps[0].Index].Value;
        // As libbpf, 32-bit enumerators are sign-extended even when unsigned.
        return new CoreValue((ulong)(type.Size == 8 ? value : (int)value));
    }

    private static CoreValue? Field(CoreRelocationKind kind, CoreAccess access)
    {
        var step = access.Steps[^1];
        if (step.Name is null)
        {
            var size = access.Types.SizeOf(step.TypeId);
            return kind switch
            {
                CoreRelocationKind.FieldByteOffset => new CoreValue((ulong)access.BitOffset / 8, true, Clamp(size), step.TypeId),
                CoreRelocationKind.FieldByteSize => new CoreValue((ulong)size),
                _ => null,
            };
        }

        var member = ((BtfStruct)access.Types[step.TypeId]).Members[step.Index];
        var type = access.Types.Resolve(member.TypeId);
        var bytes = access.Types.SizeOf(type.Id);
        if (bytes < 0) return null;
        var isBitField = member.BitSize > 0;
        if (isBitField && bytes is not (1 or 2 or 4 or 8)) return null;
        var bits = isBitField ? member.BitSize : bytes * 8;
        var offset = isBitField ? access.BitOffset / 8 / bytes * bytes : access.BitOffset / 8;
        // The smallest aligned load that holds the whole bit field.
        while (isBitField && access.BitOffset + bits - offset * 8 > bytes * 8)
        {
            if (bytes == 8) return null;
            bytes *= 2;
            offset = access.BitOffset / 8 / bytes * bytes;
        }

        return kind switch
        {
            CoreRelocationKind.FieldByteOffset => new CoreValue((ulong)offset, !isBitField, isBitField ? 0 : Clamp(bytes), isBitField ? 0 : type.Id),
            CoreRelocationKind.FieldByteSize => new CoreValue((ulong)bytes, !isBitField),
            CoreRelocationKind.FieldSigned => new CoreValue(IsSigned(type) ? 1u : 0u),
            CoreRelocationKind.FieldLeftShift => new CoreValue((ulong)(64 - (access.BitOffset + bits - offset * 8)), !isBitField),
            CoreRelocationKind.FieldRightShift => new CoreValue((ulong)(64 - bits)),
            _ => null,
        };
    }

    private static int Clamp(long size) => (int)Math.Min(size, int.MaxValue);

    private static bool IsSigned(BtfType type) => type is BtfInteger { Encoding: BtfIntegerEncoding.Signed } or BtfEnum { IsSigned: true };
}
