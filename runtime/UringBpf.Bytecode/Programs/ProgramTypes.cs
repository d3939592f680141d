using System.Collections.Immutable;
using static UringBpf.Bytecode.ContextFieldKind;

namespace UringBpf.Bytecode;

/// <summary>The built-in program types.</summary>
public static class ProgramTypes
{
    /// <summary>The hook that runs when an io_uring operation completes: <c>SEC("uring/complete")</c>, <c>struct uring_completion</c>.</summary>
    public static ProgramType Completion { get; } = new()
    {
        Name = "completion",
        Sections = ["uring/complete", "uring"],
        ReturnMin = Limits.MinErrno,
        ReturnMax = 1,
        ReturnsInt32 = true,
        Kfuncs = [.. KfuncPrototypes.All.Select(f => f.Name)],
        Context = new()
        {
            StructName = "uring_completion",
            Size = 120,
            HostSize = 120,
            BufferWritable = true,
            Fields =
            [
                new("user_data", 0, 8), new("res", 8, 4) { IsSigned = true }, new("cqe_flags", 12, 4), new("opcode", 16, 4), new("step", 20, 4),
                new("file", 24, 4) { IsSigned = true }, new("buffer", 28, 4), new("offset", 32, 8),
                new("data", 40, 8, BufferStart), new("data_end", 48, 8, BufferEnd),
                new("scratch", 56, 64, FlatMemory, FieldAccess.ReadWrite),
            ],
        },
    };

    /// <summary>The policy hook that runs before an operation is submitted: <c>SEC("uring/submit")</c>, <c>struct uring_submission</c>; 0 allows, -errno refuses.</summary>
    public static ProgramType Submission { get; } = new()
    {
        Name = "submission",
        Sections = ["uring/submit"],
        ReturnMin = Limits.MinErrno,
        ReturnMax = 0,
        ReturnsInt32 = true,
        Context = new()
        {
            StructName = "uring_submission",
            Size = 64 + Limits.PathBytes,
            HostSize = 64 + Limits.PathBytes,
            Fields =
            [
                new("opcode", 0, 4), new("flags", 4, 4), new("file", 8, 4) { IsSigned = true }, new("length", 12, 4), new("offset", 16, 8), new("user_data", 24, 8),
                new("target", 32, 4) { IsSigned = true }, new("dir", 36, 4), new("buffer", 40, 4), new("origin", 44, 4), new("chain", 48, 8), new("path_len", 56, 4),
                new("path", 64, Limits.PathBytes, FlatMemory) { ElementSize = 1 },
            ],
        },
    };

    /// <summary>A program on flat memory: r1 = memory, r2 = its length; <c>SEC("raw")</c> or <c>SEC("syscall")</c>.</summary>
    public static ProgramType Raw { get; } = new()
    {
        Name = "raw",
        Sections = ["raw", "syscall"],
        PassesLength = true,
        Context = new() { StructName = "", Size = 0, HostSize = 0, Fields = [], IsFlat = true },
    };

    /// <summary>Packet program on <c>struct xdp_md</c>; returns an XDP action.</summary>
    public static ProgramType Xdp { get; } = new()
    {
        Name = "xdp",
        Sections = ["xdp", "xdp.frags"],
        Context = new()
        {
            StructName = "xdp_md",
            Size = 24,
            HostSize = 40,
            BufferWritable = true,
            Fields =
            [
                new("data", 0, 4, BufferStart, FieldAccess.Read, 0, 8),
                new("data_end", 4, 4, BufferEnd, FieldAccess.Read, 8, 8),
                // There is never metadata in front of the packet here: data_meta equals data.
                new("data_meta", 8, 4, BufferStart, FieldAccess.Read, 0, 8),
                new("ingress_ifindex", 12, 4, Scalar, FieldAccess.Read, 24, 4),
                new("rx_queue_index", 16, 4, Scalar, FieldAccess.Read, 28, 4),
                new("egress_ifindex", 20, 4, Scalar, FieldAccess.Read, 32, 4),
            ],
        },
    };

    /// <summary>Packet program on <c>struct __sk_buff</c>: <c>SEC("socket")</c>, bytes the packet is trimmed to. The data pointers are not readable, LD_ABS and LD_IND are.</summary>
    public static ProgramType Socket { get; } = new()
    {
        Name = "socket",
        Sections = ["socket"],
        HasPacket = true,
        Context = SkBuff(packetPointers: false),
    };

    /// <summary>Packet program on <c>struct __sk_buff</c> with direct packet access: <c>SEC("tc")</c>, <c>SEC("classifier")</c>.</summary>
    public static ProgramType Classifier { get; } = new()
    {
        Name = "tc",
        Sections = ["tc", "classifier", "tcx/ingress", "tcx/egress", "action"],
        HasPacket = true,
        Context = SkBuff(packetPointers: true),
    };

    /// <summary>Every built-in type.</summary>
    public static ImmutableArray<ProgramType> All { get; } = [Completion, Submission, Raw, Xdp, Socket, Classifier];

    /// <summary>The type with this name, or null.</summary>
    public static ProgramType? Find(string name) => All.FirstOrDefault(type => type.Name == name);

    /// <summary>The type a section name stands for, or null.</summary>
    public static ProgramType? FromSection(string section) => FromSection(section, All);

    /// <summary>The type among <paramref name="types"/> a section name stands for, or null.</summary>
    public static ProgramType? FromSection(string section, ImmutableArray<ProgramType> types)
    {
        // libbpf's optional "?" prefix means: not loaded by default. The type is the same.
        section = section.TrimStart('?');
        return types.FirstOrDefault(type => type.Sections.Contains(section))
            ?? types.FirstOrDefault(type => type.Sections.Any(name => section.StartsWith(name + "/", StringComparison.Ordinal)));
    }

    // Host layout of a packet context: data at 0, data_end at 8, hidden length and linear-data fields after, then the
    // visible scalars at HostOffset = 16 + Offset, so that the 192 visible bytes keep their order.
    private static ContextLayout SkBuff(bool packetPointers)
    {
        const int hostBase = 16;
        ContextField Word(string name, int offset, FieldAccess access = FieldAccess.Read) => new(name, offset, 4, Scalar, access, hostBase + offset, 4);
        var writable = packetPointers ? FieldAccess.ReadWrite : FieldAccess.Read;
        var fields = new List<ContextField>
        {
            Word("len", 0), Word("pkt_type", 4), Word("mark", 8, FieldAccess.ReadWrite), Word("queue_mapping", 12, writable),
            Word("protocol", 16), Word("vlan_present", 20), Word("vlan_tci", 24), Word("vlan_proto", 28), Word("priority", 32, FieldAccess.ReadWrite),
            Word("ingress_ifindex", 36), Word("ifindex", 40), Word("tc_index", 44, writable),
            new("cb", 48, 20, Scalar, FieldAccess.ReadWrite, hostBase + 48, 20),
            Word("hash", 68),
        };
        if (packetPointers)
        {
            fields.Add(Word("tc_classid", 72, FieldAccess.ReadWrite));
            fields.Add(new("data", 76, 4, BufferStart, FieldAccess.Read, 0, 8));
            fields.Add(new("data_end", 80, 4, BufferEnd, FieldAccess.Read, 8, 8));
        }
        fields.Add(Word("napi_id", 84));
        return new()
        {
            StructName = "__sk_buff",
            Size = 192,
            HostSize = hostBase + 192,
            BufferWritable = packetPointers,
            Fields = [.. fields],
        };
    }
}
