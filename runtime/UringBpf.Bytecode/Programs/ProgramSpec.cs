using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>Where an instruction comes from in the C source (<c>.BTF.ext</c> line_info).</summary>
/// <param name="Instruction">The first slot this holds for, until the next entry.</param>
/// <param name="File">The file name as the compiler recorded it.</param>
/// <param name="Line">Line, from 1.</param>
/// <param name="Column">Column, from 1; 0 when unknown.</param>
/// <param name="Text">The text of the line.</param>
public sealed record LineInfo(int Instruction, string File, int Line, int Column, string Text);

/// <summary>One function of a linked program.</summary>
/// <param name="Name">The symbol's name.</param>
/// <param name="Start">Its first slot.</param>
/// <param name="Length">Its slots.</param>
/// <param name="IsGlobal">True for a function with external linkage. The verifier verifies it once, for all that its BTF signature allows, and static ones at each call.</param>
/// <param name="TypeId">BTF id of its FUNC, or 0.</param>
public sealed record Subprogram(string Name, int Start, int Length, bool IsGlobal = false, int TypeId = 0)
{
    /// <summary>One past its last slot.</summary>
    public int End => Start + Length;
}

/// <summary>
/// A linked program, not yet verified: the main function first, then every subprogram it needs, appended once. Maps are
/// named by index (<see cref="WideKind.MapIndex"/>), kfuncs by their number, subprograms by distance. Pure data.
/// </summary>
public sealed record ProgramSpec
{
    /// <summary>The program's name: its symbol.</summary>
    public required string Name { get; init; }
    /// <summary>The ELF section it came from, empty when headerless.</summary>
    public string Section { get; init; } = "";
    /// <summary>Its type; null when the section is unknown.</summary>
    public ProgramType? Type { get; init; }
    /// <summary>The slots.</summary>
    public required ImmutableArray<Instruction> Instructions { get; init; }
    /// <summary>The maps its instructions name by index.</summary>
    public ImmutableArray<MapSpec> Maps { get; init; } = [];
    /// <summary>The functions in order of <see cref="Subprogram.Start"/>; the first is the program itself. Empty for headerless
    /// bytecode: then the targets of local calls and function addresses start the functions.</summary>
    public ImmutableArray<Subprogram> Subprograms { get; init; } = [];
    /// <summary>Source lines in order of slot; empty without debug information.</summary>
    public ImmutableArray<LineInfo> Lines { get; init; } = [];
    /// <summary>The object's license string, or empty.</summary>
    public string License { get; init; } = "";
    /// <summary>Slots of the program's own symbol before linking (what <c>list</c> prints).</summary>
    public int OwnInstructions { get; init; }
    /// <summary>The functions this program may call; its externs were linked against the same table.</summary>
    public PrototypeTable Functions { get; init; } = PrototypeTable.BuiltIn;
    /// <summary>The types that <see cref="Subprogram.TypeId"/> and <see cref="MapSpec.ValueTypeId"/> refer to; empty without debug information.</summary>
    public BtfSpec Types { get; init; } = BtfSpec.Empty;
    /// <summary>Notes on slots that loading could not complete but that matter only if reachable (failed CO-RE relocations,
    /// unresolved weak externs): slot to reason. The verifier refuses a program that can reach one.</summary>
    public ImmutableDictionary<int, string> Poisoned { get; init; } = ImmutableDictionary<int, string>.Empty;

    /// <summary>The source line of a slot, or null.</summary>
    public LineInfo? LineOf(int instruction)
    {
        LineInfo? found = null;
        foreach (var line in Lines)
        {
            if (line.Instruction > instruction) break;
            found = line;
        }
        return found;
    }

    /// <summary>A headerless program: bytecode as it lies in memory, no maps.</summary>
    /// <exception cref="BpfException">UB1101 when the length is not a multiple of 8 or is zero.</exception>
    public static ProgramSpec FromBytes(string name, ReadOnlySpan<byte> bytes, ProgramType? type = null)
    {
        if (bytes.Length == 0 || bytes.Length % Instruction.Size != 0)
            throw new BpfException("UB1101", $"bytecode of {bytes.Length} bytes: its length must be a positive multiple of {Instruction.Size}.");
        var instructions = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, Instruction>(bytes).ToImmutableArray();
        return new ProgramSpec { Name = name, Type = type ?? ProgramTypes.Raw, Instructions = instructions, OwnInstructions = instructions.Length };
    }
}
