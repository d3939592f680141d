using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>
/// The types this library publishes for CO-RE: the context structs of the program types as they are in this version, and
/// <c>struct uring_op</c>. A hook compiled against another version of <c>uring_bpf.h</c> is relocated to them.
/// </summary>
internal static class PublishedTypes
{
    private static readonly Lazy<BtfSpec> s_builtIn = new(() => Build(ProgramTypes.All));

    /// <summary>The types for these program types.</summary>
    public static BtfSpec For(ImmutableArray<ProgramType> types) => types == ProgramTypes.All ? s_builtIn.Value : Build(types);

    private static BtfSpec Build(ImmutableArray<ProgramType> types)
    {
        var builder = new BtfBuilder();
        // Two program types may see different fields of one struct, as the socket types do of __sk_buff.
        foreach (var views in types.Select(type => type.Context).Where(context => context.StructName.Length > 0).GroupBy(context => context.StructName))
        {
            var fields = views.SelectMany(context => context.Fields).DistinctBy(field => field.Name).OrderBy(field => field.Offset);
            builder.Struct(views.Key, views.Max(context => context.Size), [.. fields.Select(field => (field.Name, field.Offset, FieldType(builder, field)))]);
        }
        AddOperation(builder);
        return builder.Build();
    }

    private static int FieldType(BtfBuilder builder, ContextField field) => field.Kind switch
    {
        ContextFieldKind.BufferStart or ContextFieldKind.BufferEnd when field.Size == 8 => builder.Pointer(0),
        ContextFieldKind.FlatMemory => builder.Array(builder.Integer(field.ElementSize, isSigned: false), field.Size / field.ElementSize),
        _ when field.Size > 8 => builder.Array(builder.Integer(4, isSigned: false), field.Size / 4),
        _ => builder.Integer(field.Size, field.IsSigned),
    };

    private static void AddOperation(BtfBuilder builder)
    {
        var (u8, u16, u32, u64, s32) = (builder.Integer(1, false), builder.Integer(2, false), builder.Integer(4, false), builder.Integer(8, false), builder.Integer(4, true));
        builder.Struct("uring_op", 64,
        [
            ("opcode", 0, u8), ("flags", 1, u8), ("buffer", 2, u16), ("file", 4, s32), ("offset", 8, u64),
            ("len", 16, u32), ("buf_offset", 20, u32), ("op_flags", 24, u32), ("target", 28, s32), ("dir", 32, u32), ("path", 36, u32),
            ("user_data", 40, u64), ("reserved", 48, builder.Array(u64, 2)),
        ]);
    }
}
