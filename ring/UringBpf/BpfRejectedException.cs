using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf;

/// <summary>A program was rejected (UB2xxx): what the verifier found, and an input that proves it, if one was found.</summary>
public sealed class BpfRejectedException : BpfException
{
    internal BpfRejectedException(ProgramSpec program, Rejection rejection, Witness? witness)
        : base(rejection.Code, Describe(program, rejection, witness), rejection.Instruction)
    {
        Program = program.Name;
        Rejection = rejection;
        Witness = witness;
    }

    /// <summary>The program's name.</summary>
    public string Program { get; }

    /// <summary>What the verifier found.</summary>
    public Rejection Rejection { get; }

    /// <summary>An input on which the program faults at the rejected instruction; null when none was found.</summary>
    public Witness? Witness { get; }

    private static string Describe(ProgramSpec program, Rejection rejection, Witness? witness) =>
        $"program '{program.Name}': {rejection.Describe()}{(witness == null ? "" : $"\n witness: {witness}")}";
}
