using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>
/// The types of an object, of the kernel, or of this library's own context structs. Everything in it is checked: ids
/// and names are in range, no type contains itself. Immutable and thread-safe.
/// </summary>
public sealed class BtfSpec
{
    // Sizes saturate here, so that the product of one and an array's count can't overflow.
    private const long MaxSize = int.MaxValue;

    private static readonly BtfVoid s_void = new();
    private readonly Lazy<Dictionary<string, List<BtfType>>> _byName;
    private readonly Lazy<Dictionary<string, List<BtfType>>> _byEssentialName;

    internal BtfSpec(ImmutableArray<BtfType> types)
    {
        Types = types;
        _byName = new(() => Index(name => name));
        _byEssentialName = new(() => Index(CoreTypes.EssentialName));
    }

    private Dictionary<string, List<BtfType>> Index(Func<string, string> key)
    {
        var index = new Dictionary<string, List<BtfType>>();
        // Many types may share one name, which may be long: it is hashed once.
        var known = new Dictionary<string, List<BtfType>>(ReferenceEqualityComparer.Instance);
        foreach (var type in Types)
        {
            if (type.Id == 0 || type.Name.Length == 0) continue;
            if (!known.TryGetValue(type.Name, out var same))
            {
                var name = key(type.Name);
                if (!index.TryGetValue(name, out same)) index.Add(name, same = []);
                known.Add(type.Name, same);
            }
            same.Add(type);
        }
        return index;
    }

    /// <summary>No types but void.</summary>
    public static BtfSpec Empty { get; } = new([s_void]);

    /// <summary>The types this library publishes for CO-RE: its context structs and <c>struct uring_op</c>, as they are in this version.</summary>
    public static BtfSpec BuiltIn => PublishedTypes.For(ProgramTypes.All);

    /// <summary>Every type, by id; the first is void.</summary>
    public ImmutableArray<BtfType> Types { get; }

    /// <summary>The type with this id.</summary>
    /// <exception cref="IndexOutOfRangeException">There is no such type.</exception>
    public BtfType this[int id] => Types[id];

    /// <summary>Reads BTF: the contents of a <c>.BTF</c> section or of a file such as <c>/sys/kernel/btf/vmlinux</c>.</summary>
    /// <exception cref="BpfException">UB1201 to UB1213 when it is malformed.</exception>
    public static BtfSpec Parse(ReadOnlySpan<byte> bytes) => BtfReader.Read(bytes.ToArray()).Types;

    /// <summary>The types with this name, of every kind, in order of id.</summary>
    public ImmutableArray<BtfType> Named(string name) => [.. Like(_byName.Value, name)];

    /// <summary>The types with this name when flavours (<c>___suffix</c>) are left off.</summary>
    internal IReadOnlyList<BtfType> NamedLike(string essentialName) => Like(_byEssentialName.Value, essentialName);

    private static IReadOnlyList<BtfType> Like(Dictionary<string, List<BtfType>> index, string name) => index.TryGetValue(name, out var types) ? types : [];

    /// <summary>The first type of one kind with this name, or null.</summary>
    public T? Find<T>(string name) where T : BtfType => Like(_byName.Value, name).OfType<T>().FirstOrDefault();

    /// <summary>A type without typedefs, const, volatile, restrict and tags.</summary>
    public BtfType Resolve(int id)
    {
        var type = Types[id];
        // The reader refuses chains that are long or closed.
        while (type is BtfModifier modifier) type = Types[modifier.TypeId];
        return type;
    }

    /// <summary>Bytes of a value of a type, or -1 for types that have none (void, functions, forward declarations).</summary>
    public long SizeOf(int id) => Resolve(id) switch
    {
        BtfInteger type => type.Size,
        BtfFloat type => type.Size,
        BtfPointer => 8,
        BtfStruct type => type.Size,
        BtfEnum type => type.Size,
        BtfDataSection type => type.Size,
        BtfVariable type => SizeOf(type.TypeId),
        BtfArray type when SizeOf(type.ElementTypeId) is >= 0 and var element => Math.Min(element * type.Count, MaxSize),
        _ => -1,
    };

    /// <summary>A type as C spells it, such as <c>const volatile __u32</c>; a function or variable with its name.
    /// Meant for messages: long ones are cut short.</summary>
    public string Format(int id) => BtfPrinter.Declare(this, id, "");
}
